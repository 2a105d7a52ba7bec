"""Several requests about one invoice in one batch are decided one after the other."""

from typing import Any
from uuid import uuid4

from invoice.commands.delete_drafts import DeleteDraft, delete_drafts
from invoice.commands.issue_invoices import IssueInvoice, issue_invoices
from invoice.commands.void_invoices import VoidInvoice, void_invoices
from invoice.errors import (
    InvoiceNotFound,
    InvoiceNotIssuable,
    InvoiceNotOpen,
    VersionMismatch,
)
from testkit.service import ServiceUnderTest


async def test_the_second_issue_of_a_batch_finds_the_first_done(
    unit: ServiceUnderTest, shop: Any
) -> None:
    (draft,) = await shop.drafts()
    request = IssueInvoice(shop.tenant, draft.id)
    sent = IssueInvoice(shop.tenant, draft.id, send=True)
    stale = IssueInvoice(shop.tenant, draft.id, expected_version=1, send=True)
    first, second, third, fourth = await unit.command(issue_invoices, request, request, sent, stale)
    assert (first.document, first.version) == ("issuing", 2)
    assert isinstance(second, InvoiceNotIssuable)
    assert third == first
    assert isinstance(fourth, VersionMismatch)
    assert await shop.kinds() == ["InvoiceCreated", "InvoiceIssuing"]
    assert (await shop.state(draft.id)).version == 2


async def test_a_refused_request_does_not_hold_up_its_neighbours(
    unit: ServiceUnderTest, shop: Any
) -> None:
    one, two = await shop.drafts(2)
    requests = [
        DeleteDraft(shop.tenant, uuid4()),
        DeleteDraft(shop.tenant, one.id),
        DeleteDraft(shop.tenant, one.id),
        DeleteDraft(shop.tenant, two.id),
    ]
    outcomes = await unit.command(delete_drafts, *requests)
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "InvoiceNotFound",
        "Invoice",
        "InvoiceNotFound",
        "Invoice",
    ]
    assert isinstance(outcomes[0], InvoiceNotFound)


async def test_a_request_never_reaches_another_tenants_invoice(
    unit: ServiceUnderTest, shop: Any
) -> None:
    other = type(shop)(unit, shop.news)
    invoice = await shop.open()
    theirs, mine, again = await unit.command(
        void_invoices,
        VoidInvoice(other.tenant, invoice, "theft", "key"),
        VoidInvoice(shop.tenant, invoice, "mistake", "key"),
        VoidInvoice(shop.tenant, invoice, "mistake", "key"),
    )
    assert isinstance(theirs, InvoiceNotFound)
    assert (mine.document, mine.reason) == ("void", "mistake")
    assert isinstance(again, InvoiceNotOpen)
