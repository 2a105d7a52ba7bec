"""A sweep is intended: its bytes are ours before anybody else has them."""

from collections.abc import Sequence

from messaging import Tx
from provider_orchestrator.domain.sweeps import Item, Signed, Sweep
from provider_orchestrator.store import sweeps


async def begin_sweep(tx: Tx, sweep: Sweep, signed: Signed, items: Sequence[Item]) -> bool:
    """Store what will be sent; False, and nothing written, when the operator has one in flight."""
    if not await sweeps.insert_sweep(tx, sweep, tx.now):
        return False
    await sweeps.insert_items(tx, sweep, items)
    await sweeps.insert_signed(tx, sweep.id, signed)
    return True


async def replace_signed(tx: Tx, sweep: Sweep, signed: Signed) -> None:
    """The same sweep under the same nonce for a higher fee: either can happen, never both."""
    await sweeps.insert_signed(tx, sweep.id, signed)
