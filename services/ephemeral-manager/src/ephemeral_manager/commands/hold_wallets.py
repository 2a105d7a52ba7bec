"""Place and release legal holds: a wallet that is held is not destroyed."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ephemeral_manager.commands.lives import Lives, timer_of
from ephemeral_manager.domain.wallet import State, Wake, Wallet, hold, watch_alarm
from ephemeral_manager.errors import VersionMismatch, WalletNotFound
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that is asked for, or its release."""

    tenant_id: UUID
    wallet_id: UUID
    reason: str | None
    """None releases."""
    version: int | None = None
    """The version the caller has seen; None where it does not matter."""


async def hold_wallets(tx: Tx, asked: Sequence[Hold]) -> list[Wallet | Refusal]:
    """Hold or release each wallet; the wallet after it, or why not.

    A released wallet is looked at as soon as its watch window is over, not after the pause that
    tries of the guard had grown to.
    """
    released = sorted({str(item.wallet_id) for item in asked if item.reason is None})
    if released:
        # Timers before wallets, as the timer loop locks them.
        await tx.cancel(Wake.WATCH.value, released)
    lives = await Lives.alone(tx, [(item.tenant_id, item.wallet_id) for item in asked])
    outcomes = [_hold(lives, item) for item in asked]
    await lives.save(tx)
    watching = [
        wallet
        for wallet in lives.wallets.values()
        if wallet.state is State.WATCHING and str(wallet.id) in released
    ]
    tx.schedule(timer_of(wallet, watch_alarm(wallet)) for wallet in watching)
    return [
        outcome if isinstance(outcome, Refusal) else lives.wallets[outcome.tenant_id, outcome.id]
        for outcome in outcomes
    ]


def _hold(lives: Lives, asked: Hold) -> Wallet | Refusal:
    key = (asked.tenant_id, asked.wallet_id)
    wallet = lives.wallets.get(key)
    if wallet is None:
        return WalletNotFound()
    if asked.version is not None and asked.version != wallet.version:
        return VersionMismatch(version=wallet.version)
    try:
        step = hold(wallet, asked.reason)
    except Refusal as refusal:
        return refusal
    lives.apply(key, step, None)
    return step.wallet
