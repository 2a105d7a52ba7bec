"""What a sweep of the chain found, and the end of the range it looked at, become ours at once."""

from messaging import Tx
from provider_orchestrator.commands.admit_transfers import Match, admit_transfers
from provider_orchestrator.domain.chain import Swept, final_number
from provider_orchestrator.domain.transfers import Finality, finalise
from provider_orchestrator.store import chain, payments


async def record_sweep(tx: Tx, swept: Swept, *, confirmations: int) -> bool:
    """Record transfers, state payments, move the cursor; False when another replica was first.

    Nothing is written in that case. A transfer at an address that nobody has named yet waits.
    """
    chain_id = swept.cursor.chain_id
    await chain.lock_sweep(tx, chain_id)
    if not await chain.move_cursor(tx, swept.cursor, swept.to, swept.head_number):
        return False
    await chain.remember_blocks(tx, swept)
    finality = Finality(confirmations, final_number(swept.to.number, confirmations), swept.to.at)
    if swept.transfers:
        await _record_transfers(tx, swept, finality)
    if confirmations:
        await _finalise(tx, chain_id, finality)
    return True


async def _record_transfers(tx: Tx, swept: Swept, finality: Finality) -> None:
    new = await chain.insert_transfers(tx, swept.transfers)
    fresh = [
        transfer
        for transfer in swept.transfers
        if (transfer.block_hash, transfer.transaction_hash, transfer.log_index) in new
    ]
    places = [(transfer.chain_id, transfer.address) for transfer in fresh]
    owners = {w.address: w for w in await payments.select_watched(tx, places)}
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
    await payments.save_payments(tx, [payment for payment, _ in steps])
    tx.stage(fact for _, facts in steps for fact in facts)
