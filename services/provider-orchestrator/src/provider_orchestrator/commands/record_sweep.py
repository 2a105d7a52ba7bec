"""What a sweep of the chain found, and the end of the range it looked at, become ours at once."""

from collections.abc import Sequence

from messaging import Tx
from provider_orchestrator.commands.admit_transfers import Match, admit_transfers
from provider_orchestrator.domain.chain import Swept, finality_of
from provider_orchestrator.domain.transfers import Finality, finalise
from provider_orchestrator.store import chain, payments, sweeps


async def record_sweep(
    tx: Tx, swept: Swept, *, confirmations: int, by_address: bool = False
) -> bool:
    """Record transfers, state payments, move the cursor; False when another replica was first.

    Nothing is written in that case. A transfer at an address that nobody has named yet waits,
    unless deposits are looked for by address: then it is none of ours.
    """
    chain_id = swept.cursor.chain_id
    await chain.lock_sweep(tx, chain_id)
    if not await chain.move_cursor(tx, swept.cursor, swept.to, swept.head_number):
        return False
    await chain.remember_blocks(tx, swept)
    if swept.addresses is not None:
        await chain.insert_overlooked(tx, swept)
    finality = finality_of(swept, confirmations)
    if swept.transfers:
        await _record_transfers(tx, swept, finality, by_address=by_address)
    if finality.number < swept.to.number:
        await _finalise(tx, chain_id, finality)
    return True


async def record_missed(
    tx: Tx, swept: Swept, missed: Sequence[bytes], *, confirmations: int
) -> bool:
    """Record what had come to addresses before they were known; False when the chain moved on."""
    if not await record_sweep(tx, swept, confirmations=confirmations, by_address=True):
        return False
    await chain.delete_missed(tx, swept.cursor.chain_id, missed)
    return True


async def _record_transfers(tx: Tx, swept: Swept, finality: Finality, *, by_address: bool) -> None:
    places = [(transfer.chain_id, transfer.address) for transfer in swept.transfers]
    owners = {w.address: w for w in await payments.select_watched(tx, places)}
    ours = [t for t in swept.transfers if not by_address or t.address in owners]
    new = await chain.insert_transfers(tx, ours) if ours else set()
    fresh = [t for t in ours if (t.block_hash, t.transaction_hash, t.log_index) in new]
    homeless = [transfer for transfer in fresh if transfer.address not in owners]
    if homeless:
        await chain.insert_unmatched(tx, homeless)
    matches = [Match(t, owners[t.address]) for t in fresh if t.address in owners]
    await admit_transfers(tx, matches, finality)


async def _finalise(tx: Tx, chain_id: int, finality: Finality) -> None:
    waiting = await payments.lock_final(tx, chain_id, finality.number)
    if not waiting:
        return
    steps = [finalise(payment, finality) for payment in waiting]
    changed = [payment for payment, _ in steps]
    await payments.save_payments(tx, changed)
    await sweeps.note_unswept(tx, changed)
    tx.stage(fact for _, facts in steps for fact in facts)
