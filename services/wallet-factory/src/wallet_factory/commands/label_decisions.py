"""What became of decisions: regret makes the label at once, its absence after thirty days."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from messaging import Tx
from wallet_factory.store import selector as store
from wallet_factory.store.selector import Entry, Open

LATE_PAYMENT, SECOND_INVOICE = "late_payment", "second_invoice"


async def label(tx: Tx, items: Sequence[tuple[Open, bool, str]]) -> None:
    """Store what came of decisions, for the learner and in their tenants' logs."""
    if not items:
        return
    await store.insert_labels(tx, items)
    entries = [
        Entry(
            item.tenant_id,
            item.wallet_id,
            item.invoice_id,
            "outcome",
            {"persistent_was_right": said, "cause": cause},
        )
        for item, said, cause in items
    ]
    await store.append(tx, entries)


async def note_late_money(tx: Tx, wallets: Iterable[tuple[UUID, UUID]]) -> None:
    """Money came to wallets (tenant, wallet) that expected none: they should have been kept."""
    taken = await store.take_wallets(tx, wallets)
    await label(tx, [(item, True, LATE_PAYMENT) for item in taken])


async def note_payers(tx: Tx, payers: Iterable[tuple[UUID, UUID, UUID]]) -> None:
    """Payers (tenant, payer, invoice) are billed again: their wallet could have been the same."""
    taken = await store.take_payers(tx, payers)
    await label(tx, [(item, True, SECOND_INVOICE) for item in taken])
