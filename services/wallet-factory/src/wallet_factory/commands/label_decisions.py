"""What became of decisions: regret makes the label at once, its absence after thirty days."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from messaging import Tx
from wallet_factory.store import selector as store
from wallet_factory.store.selector import Entry, Open

LATE_PAYMENT, SECOND_INVOICE = "late_payment", "second_invoice"
PAID_ONCE, NOT_REGRETTED = "paid_once", "not_regretted"
PAID = "invoice_paid"
"""Why a wallet drained, where that was the reason."""


async def label(tx: Tx, items: Sequence[tuple[Open, bool, str]]) -> None:
    """Store what came of decisions, for the learner and in their tenants' logs."""
    if not items:
        return
    await store.insert_labels(tx, items)
    await _log(tx, items)


async def _log(tx: Tx, items: Sequence[tuple[Open, bool | None, str]]) -> None:
    if not items:
        return
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


async def note_ends(tx: Tx, ends: Mapping[tuple[UUID, UUID], str]) -> None:
    """The lives of these wallets (tenant, wallet) ended so; what it says is known later."""
    if ends:
        await store.save_outcomes(tx, ends)


async def label_old(tx: Tx) -> int:
    """Decisions nobody has regretted in time; of what nobody paid nothing is learned. How many."""
    old = await store.take_old(tx)
    taught = [item for item in old if item.outcome in (None, PAID)]
    await label(
        tx, [(item, False, PAID_ONCE if item.outcome else NOT_REGRETTED) for item in taught]
    )
    unpaid = [item for item in old if item.outcome not in (None, PAID)]
    await _log(tx, [(item, None, str(item.outcome)) for item in unpaid])
    return len(old)


async def note_late_money(tx: Tx, wallets: Iterable[tuple[UUID, UUID]]) -> None:
    """Money came to wallets (tenant, wallet) that expected none: they should have been kept."""
    taken = await store.take_wallets(tx, wallets)
    await label(tx, [(item, True, LATE_PAYMENT) for item in taken])


async def note_payers(tx: Tx, payers: Iterable[tuple[UUID, UUID, UUID]]) -> None:
    """Payers (tenant, payer, invoice) are billed again: their wallet could have been the same."""
    taken = await store.take_payers(tx, payers)
    await label(tx, [(item, True, SECOND_INVOICE) for item in taken])
