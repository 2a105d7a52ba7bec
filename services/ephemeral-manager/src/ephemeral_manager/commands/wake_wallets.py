"""What wallets do when their time has come: expire, be destroyed, ask again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ephemeral_manager.commands.certify_destructions import certify
from ephemeral_manager.commands.lives import Lives
from ephemeral_manager.domain import destruction
from ephemeral_manager.domain import wallet as domain
from ephemeral_manager.domain.matters import Open
from ephemeral_manager.domain.wallet import State
from ephemeral_manager.settings import settings
from ephemeral_manager.store import Key
from messaging import Timer, Tx


async def expire_wallets(tx: Tx, timers: Sequence[Timer]) -> None:
    """Expire the wallets whose time to live is over.

    A timer that was set for another end than the present one is stale: the wallet was extended.
    """
    lives = await Lives.load(tx, map(_key, timers))
    for timer in timers:
        wallet = lives.wallets.get(_key(timer))
        if wallet is not None and _until(timer) == wallet.expires_at:
            lives.apply(_key(timer), domain.expire(wallet, tx.now), None)
            lives.review(_key(timer), None)
    await lives.save(tx)


async def end_watches(tx: Tx, timers: Sequence[Timer]) -> None:
    """Begin to destroy the wallets whose watch window is over and whose guard passes."""
    lives = await Lives.load(tx, map(_key, timers))
    for timer in timers:
        key = _key(timer)
        wallet = lives.wallets.get(key)
        if wallet is None or wallet.state is not State.WATCHING:
            continue
        lives.review(key, None, final=True)
        wallet = lives.wallets[key]
        if _until(timer) != wallet.watch_until:
            continue  # The window was restarted, and has an alarm of its own.
        guard = destruction.guard_of(wallet, lives.still_open(key), window_over=True)
        attempt = int(timer.payload.get("attempt", 0))
        step = destruction.end_watch(wallet, guard, attempt, settings().destroy_retry_s, tx.now)
        lives.apply(key, step, None)
    await lives.save(tx)


async def ask_again(tx: Tx, timers: Sequence[Timer]) -> None:
    """Ask the holders again who have not confirmed the destruction of a wallet.

    Of a wallet without a chain nobody states a balance: it may have waited for a payment alone.
    """
    lives = await Lives.load(tx, map(_key, timers))
    await certify(tx, lives, _without_chain(lives), {})
    for timer in timers:
        key = _key(timer)
        wallet = lives.wallets.get(key)
        if wallet is not None:
            guard = destruction.guard_of(wallet, lives.still_open(key), window_over=True)
            step = destruction.ask_again(wallet, guard, settings().destroy_retry_s, tx.now)
            lives.apply(key, step, None)
    await lives.save(tx)


def _without_chain(lives: Lives) -> list[Key]:
    return sorted(
        key
        for key, wallet in lives.wallets.items()
        if wallet.state is State.DESTROYING
        and wallet.chain_id is None
        and lives.still_open(key) == Open()
    )


def _key(timer: Timer) -> Key:
    return timer.tenant_id, UUID(timer.ref)


def _until(timer: Timer) -> datetime:
    return datetime.fromisoformat(timer.payload["until"])
