"""The chain dropped blocks we had read: what stood in them is taken back."""

from messaging import Tx
from provider_orchestrator.domain.chain import Block, Cursor
from provider_orchestrator.domain.transfers import revert
from provider_orchestrator.store import chain, payments, reserves


async def reverse_orphans(tx: Tx, cursor: Cursor, ancestor: Block) -> bool:
    """Go back to the common ancestor; False when another replica was first.

    Each payment that stood above it is reverted. The next sweep finds what the new blocks hold,
    and the same transfer then continues the same payment.
    """
    await chain.lock_sweep(tx, cursor.chain_id)
    if not await chain.move_cursor(tx, cursor, ancestor, ancestor.number):
        return False
    await chain.forget_blocks(tx, cursor.chain_id, ancestor.number)
    await reserves.forget_observations(tx, cursor.chain_id, ancestor.number)
    dropped = await chain.orphan_transfers(tx, cursor.chain_id, ancestor.number, tx.now)
    if not dropped:
        return True
    standing = await payments.lock_payments_of(tx, list(dropped))
    steps = [revert(payment, dropped[payment.id]) for payment in standing]
    if steps:
        await payments.save_payments(tx, [payment for payment, _ in steps])
    tx.stage(fact for _, facts in steps for fact in facts)
    return True
