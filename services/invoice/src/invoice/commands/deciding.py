"""What the commands about existing invoices share: decide each request on the state it finds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar
from uuid import UUID

from invoice import store
from invoice.domain.documents import require_version
from invoice.domain.states import D, Decision, Invoice
from invoice.errors import InvoiceNotFound
from messaging import Refusal, Tx


class Asked(Protocol):
    """A request about one invoice."""

    @property
    def tenant_id(self) -> UUID:
        """Whose invoice."""

    @property
    def invoice_id(self) -> UUID:
        """Which invoice."""

    @property
    def expected_version(self) -> int | None:
        """The version the caller looked at; None where it does not care."""


R = TypeVar("R", bound=Asked)


async def decide_each(
    tx: Tx, requests: Sequence[R], decide: Callable[[Invoice, R], Decision]
) -> tuple[list[Invoice | Refusal], list[Invoice]]:
    """The outcome of each request, and the invoices that changed, in their last state.

    Two requests about one invoice are decided one after the other. Facts are staged; the caller
    saves what changed.
    """
    states = await store.lock_invoices(
        tx, [(request.tenant_id, request.invoice_id) for request in requests], lines=True
    )
    changed: dict[store.Key, Invoice] = {}
    outcomes: list[Invoice | Refusal] = []
    for request in requests:
        key = (request.tenant_id, request.invoice_id)
        try:
            before = states.get(key)
            if before is None or before.document is D.DELETED:
                raise InvoiceNotFound
            require_version(before, request.expected_version)
            after, facts = decide(before, request)
        except Refusal as refusal:
            outcomes.append(refusal)
            continue
        if after is not before:
            states[key] = changed[key] = after = aged(after, tx)
        tx.stage(facts)
        outcomes.append(after)
    return outcomes, list(changed.values())


def aged(invoice: Invoice, tx: Tx) -> Invoice:
    """The next version of an invoice."""
    return replace(invoice, version=invoice.version + 1, updated_at=tx.now)
