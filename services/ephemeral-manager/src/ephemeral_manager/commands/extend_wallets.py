"""Give wallets a longer time to live."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ephemeral_manager.commands.lives import Lives, timer_of
from ephemeral_manager.domain.wallet import State, Wake, Wallet, extend, ttl_alarm
from ephemeral_manager.errors import (
    ExtensionNotLater,
    ExtensionTooLong,
    VersionMismatch,
    WalletNotFound,
)
from ephemeral_manager.settings import settings
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class Extension:
    """A longer life that is asked for."""

    tenant_id: UUID
    wallet_id: UUID
    until: datetime
    by: str
    version: int | None = None
    """The version the caller has seen; None where it does not matter."""


async def extend_wallets(tx: Tx, asked: Sequence[Extension]) -> list[Wallet | Refusal]:
    """Move the end of each wallet's time to live; the wallet after it, or why not."""
    # Timers before wallets, as the timer loop locks them: else the two could wait for each other.
    await tx.cancel(Wake.TTL.value, sorted({str(item.wallet_id) for item in asked}))
    lives = await Lives.alone(tx, [(item.tenant_id, item.wallet_id) for item in asked])
    outcomes = [_extend(lives, item, tx.now) for item in asked]
    active = [w for w in lives.wallets.values() if w.state is State.ACTIVE]
    await lives.save(tx)
    tx.schedule(timer_of(wallet, ttl_alarm(wallet)) for wallet in active)
    return [
        outcome if isinstance(outcome, Refusal) else lives.wallets[outcome.tenant_id, outcome.id]
        for outcome in outcomes
    ]


def _extend(lives: Lives, asked: Extension, now: datetime) -> Wallet | Refusal:
    key = (asked.tenant_id, asked.wallet_id)
    wallet = lives.wallets.get(key)
    if wallet is None:
        return WalletNotFound()
    if asked.version is not None and asked.version != wallet.version:
        return VersionMismatch(version=wallet.version)
    limit = settings().ttl_s_max
    if asked.until > now + timedelta(seconds=limit):
        return ExtensionTooLong(f"At most {limit} seconds from now", ttl_s_max=limit)
    try:
        step = extend(wallet, asked.until, asked.by)
    except Refusal as refusal:
        return refusal
    if asked.until <= max(now, wallet.expires_at):
        return ExtensionNotLater(expires_at=wallet.expires_at.isoformat())
    lives.apply(key, step, None)
    return step.wallet
