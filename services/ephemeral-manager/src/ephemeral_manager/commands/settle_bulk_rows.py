"""A row's invoice is open, could not be served, or was never made."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from ephemeral_manager.domain.bulk import NEXT, RowState
from ephemeral_manager.store import bulk as store
from ephemeral_manager.store.bulk import Outcome
from invoiceos_contracts.bulk_v1 import BulkRowRefused
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoiceIssueFailed
from messaging import Tx, failpoint

RowFact = InvoiceIssued | InvoiceIssueFailed | BulkRowRefused


async def settle_bulk_rows(tx: Tx, facts: Sequence[RowFact]) -> None:
    """Note what became of rows; facts of invoices that no row made are left alone."""
    keys = [(fact.tenant_id, fact.invoice_id) for fact in facts]
    owners = await store.jobs_of_invoices(tx, keys)
    if not owners:
        return
    jobs = await store.lock_jobs(tx, owners)
    states = await store.select_states(tx, keys)
    steps: dict[store.Key, Counter[tuple[RowState, RowState]]] = {}
    changed: dict[store.Key, Outcome] = {}
    for fact, key in zip(facts, keys, strict=True):
        if key not in states:
            continue
        job_id, state = states[key]
        outcome = outcome_of(fact)
        if outcome.state not in NEXT.get(state, frozenset()):
            continue
        states[key] = (job_id, outcome.state)
        steps.setdefault((key[0], job_id), Counter())[state, outcome.state] += 1
        changed[key] = outcome
    if changed:
        await store.update_rows(tx, list(changed.values()), tx.now)
        await store.update_jobs(tx, [jobs[key].moved(steps[key], tx.now) for key in sorted(steps)])
        failpoint("bulk.rows_settled")


def outcome_of(fact: RowFact) -> Outcome:
    """What a fact says of its row."""
    tenant_id: UUID = fact.tenant_id
    match fact:
        case InvoiceIssued():
            wallet = {
                "wallet_id": fact.wallet_id,
                "number": fact.number,
                "payment_link": fact.payment_link,
                "rail": fact.rail,
                "chain_id": fact.chain_id,
                "address": fact.address,
                "memo": fact.memo,
                "accepted_assets": ",".join(fact.accepted_assets),
                "expires_at": fact.expires_at,
            }
            return Outcome(tenant_id, fact.invoice_id, RowState.READY, wallet=wallet)
        case InvoiceIssueFailed():
            return Outcome(tenant_id, fact.invoice_id, RowState.FAILED, fact.reason[:200])
        case BulkRowRefused():
            return Outcome(tenant_id, fact.invoice_id, RowState.REFUSED, fact.code)
