"""Make and issue the invoices of bulk orders, each once, or say why one cannot be made."""

from collections.abc import Sequence

from invoice import store
from invoice.commands.create_invoices import CreateInvoice, create_invoices
from invoice.domain.states import Line, Terms
from invoice.domain.totals import work_out
from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.bulk_v1 import BulkRowRefused, BulkRowRequested
from messaging import Received, Refusal, Tx

Asked = Received[BulkRowRequested]


async def make_bulk_invoices(tx: Tx, asked: Sequence[Asked]) -> None:
    """Create and issue an invoice of one line for each row; `BulkRowRefused` where none can be.

    The row gave its invoice the id, so one that is there was asked for before and is left alone.
    """
    keyed = {(item.tenant_id, item.fact.invoice_id): item for item in reversed(asked)}
    known = await store.known_invoices(tx, keyed)
    refused: list[tuple[Asked, Refusal]] = []
    wanted: list[tuple[Asked, CreateInvoice]] = []
    for key, item in reversed(keyed.items()):
        if key in known:
            continue
        try:
            wanted.append((item, _read(item)))
        except Refusal as refusal:
            refused.append((item, refusal))
    made = await create_invoices(tx, [create for _, create in wanted])
    refused += [
        (item, outcome)
        for (item, _), outcome in zip(wanted, made, strict=True)
        if isinstance(outcome, Refusal)
    ]
    tx.stage((_refusal(item.fact, why), item.id) for item, why in refused)


def _read(item: Asked) -> CreateInvoice:
    """What to create; raises `Refusal` for what REST would refuse."""
    fact = item.fact
    terms = Terms(
        asset=fact.amount.asset,
        customer_id=fact.customer_id,
        reference=fact.reference,
        due_at=fact.due_at,
        mode=WalletMode.EPHEMERAL,
        ttl_s=fact.ttl_s,
        watch_window_s=fact.watch_window_s,
        bulk_size=fact.bulk_size,
    )
    worked = work_out(terms, [Line(fact.description, "1", fact.amount.amount_minor)])
    return CreateInvoice(
        fact.tenant_id, worked, issue=True, cause=item.id, invoice_id=fact.invoice_id
    )


def _refusal(fact: BulkRowRequested, why: Refusal) -> BulkRowRefused:
    return BulkRowRefused(
        tenant_id=fact.tenant_id,
        invoice_id=fact.invoice_id,
        job_id=fact.job_id,
        code=why.code,
        detail=why.detail,
    )
