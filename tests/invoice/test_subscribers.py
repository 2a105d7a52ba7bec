"""Facts of other services through the real parser, inbox and transaction."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from invoiceos_contracts.invoice_v1 import (
    InvoiceExpired,
    InvoiceIssued,
    InvoiceIssuing,
    InvoiceLatePayment,
    InvoiceOverdue,
    InvoiceOverpaid,
    InvoicePaid,
)
from testkit.service import ServiceUnderTest, record_of

TOTAL = 10_000_000
FAR = timedelta(days=36_500)


def booked(shop: Any, invoice: UUID, minor: int, **other: Any) -> Any:
    return shop.news.booked(shop.tenant, invoice, uuid4(), uuid4(), minor, **other)


async def test_a_wallet_opens_the_invoice_with_number_link_and_parties(
    unit: ServiceUnderTest, shop: Any
) -> None:
    (invoice,) = await shop.drafts(issue=True)
    ready = record_of(shop.news.ready(shop.tenant, invoice.id))
    await unit.receives(ready, ready)
    await unit.receives(ready)
    (issued,) = await unit.facts(InvoiceIssued)
    assert issued.number == "INV-000001"
    assert issued.issuer_name == "Unnamed issuer"
    assert issued.recipient is None
    assert issued.payment_link.startswith("https://pay.example.test/pay/")
    assert issued.status.document == "open"
    assert [line.total.amount_minor for line in issued.lines] == [1000]
    assert await shop.kinds() == ["InvoiceCreated", "InvoiceIssuing", "InvoiceIssued"]
    state = await shop.state(invoice.id)
    assert state.version == 2
    token = issued.payment_link.rpartition("/")[2]
    assert state.link_hash is not None and token.encode() not in state.link_hash
    await unit.receives(shop.news.ready(shop.tenant, invoice.id))
    assert len(await unit.facts(InvoiceIssued)) == 1


async def test_the_issued_fact_is_caused_by_the_wallets_fact(
    unit: ServiceUnderTest, shop: Any
) -> None:
    (invoice,) = await shop.drafts(issue=True)
    cause = uuid4()
    await unit.receives(record_of(shop.news.ready(shop.tenant, invoice.id), event_id=cause))
    found = await unit.worker.fetchval(
        "select causation_id from outbox where type = 'invoiceos.invoice.issued.v1'"
    )
    assert found == cause


async def test_an_issue_that_failed_can_be_tried_again(unit: ServiceUnderTest, shop: Any) -> None:
    from invoice.commands.issue_invoices import IssueInvoice, issue_invoices

    (invoice,) = await shop.drafts(issue=True)
    await unit.receives(shop.news.failed(shop.tenant, invoice.id))
    assert await shop.axes(invoice.id) == ("issue_failed", "unpaid", "on_time")
    (again,) = await unit.command(issue_invoices, IssueInvoice(shop.tenant, invoice.id))
    assert again.attempt == 2
    await unit.receives(shop.news.ready(shop.tenant, invoice.id))
    assert await shop.axes(invoice.id) == ("open", "unpaid", "on_time")
    await unit.receives(shop.news.failed(shop.tenant, invoice.id))
    assert await shop.kinds() == [
        "InvoiceCreated",
        "InvoiceIssuing",
        "InvoiceIssueFailed",
        "InvoiceIssuing",
        "InvoiceIssued",
    ]


async def test_two_bookings_of_one_poll_are_counted_one_after_the_other(
    unit: ServiceUnderTest, shop: Any
) -> None:
    invoice = await shop.open()
    await unit.receives(booked(shop, invoice, 4_000_000), booked(shop, invoice, 6_000_000))
    assert (await shop.kinds())[-2:] == ["InvoicePartiallyPaid", "InvoicePaid"]
    state = await shop.state(invoice)
    assert (state.received_micros, state.version) == (TOTAL, 4)


@pytest.mark.parametrize(
    ("parts", "axis", "last"),
    [
        ([TOTAL], "paid", "InvoicePaid"),
        ([1, TOTAL - 1], "paid", "InvoicePaid"),
        ([TOTAL, 1], "overpaid", "InvoiceOverpaid"),
        ([TOTAL - 1], "partial", "InvoicePartiallyPaid"),
    ],
)
async def test_exact_partial_and_over_payment(
    unit: ServiceUnderTest, shop: Any, parts: list[int], axis: str, last: str
) -> None:
    invoice = await shop.open()
    for part in parts:
        await unit.receives(booked(shop, invoice, part))
    assert (await shop.axes(invoice))[1] == axis
    assert (await shop.kinds())[-1] == last
    assert (await shop.state(invoice)).received_micros == sum(parts)


async def test_a_shortage_within_the_tolerance_is_paid(unit: ServiceUnderTest, shop: Any) -> None:
    invoice = await shop.open(tolerance_ppm=10_000)
    await unit.receives(booked(shop, invoice, 9_900_000))
    (paid,) = await unit.facts(InvoicePaid)
    assert (paid.shortage.amount_minor, paid.due.amount_minor) == (10, 0)


async def test_a_paid_excess_is_stated_in_the_invoices_asset(
    unit: ServiceUnderTest, shop: Any
) -> None:
    invoice = await shop.open()
    await unit.receives(booked(shop, invoice, TOTAL, excess=2_500_000))
    (over,) = await unit.facts(InvoiceOverpaid)
    assert (over.excess.amount_minor, over.excess.asset) == (250, "USD")
    assert (over.amount.amount_minor, over.amount.asset) == (12_500_000, "PATHUSD")
    assert over.received_micros == 12_500_000


async def test_timers_make_an_unpaid_invoice_overdue_and_then_expired(
    unit: ServiceUnderTest, shop: Any
) -> None:
    due, expires = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)
    invoice = await shop.open(due_at=due, expires_at=expires)
    await unit.at(due - timedelta(seconds=1))
    assert await shop.axes(invoice) == ("open", "unpaid", "on_time")
    await unit.at(due)
    (overdue,) = await unit.facts(InvoiceOverdue)
    assert (overdue.since, overdue.status.timeliness) == (due, "overdue")
    await unit.at(expires)
    (expired,) = await unit.facts(InvoiceExpired)
    assert (expired.since, expired.status.timeliness) == (expires, "expired")
    await unit.receives(booked(shop, invoice, TOTAL))
    (late,) = await unit.facts(InvoiceLatePayment)
    assert (late.policy, late.status.timeliness) == ("accept", "paid_late")
    assert await shop.axes(invoice) == ("open", "paid", "paid_late")


async def test_timers_leave_a_settled_invoice_alone(unit: ServiceUnderTest, shop: Any) -> None:
    invoice = await shop.open()
    await unit.receives(booked(shop, invoice, TOTAL))
    await unit.after(FAR)
    assert await shop.axes(invoice) == ("open", "paid", "on_time")
    assert await unit.worker.fetchval("select count(*) from timer") == 0


async def test_an_extension_moves_the_expiry(unit: ServiceUnderTest, shop: Any) -> None:
    expires = datetime(2030, 2, 1, tzinfo=UTC)
    invoice = await shop.open(expires_at=expires)
    later = expires + timedelta(days=5)
    await unit.receives(shop.news.extended(shop.tenant, invoice, later))
    await unit.receives(shop.news.extended(shop.tenant, invoice, expires))
    await unit.at(expires)
    assert (await shop.axes(invoice))[2] == "overdue"
    await unit.at(later)
    (expired,) = await unit.facts(InvoiceExpired)
    assert expired.since == later


async def test_a_destroyed_wallet_closes_what_is_settled(unit: ServiceUnderTest, shop: Any) -> None:
    invoice = await shop.open()
    await unit.receives(booked(shop, invoice, TOTAL), shop.news.destroyed(shop.tenant, invoice))
    assert await shop.axes(invoice) == ("closed", "paid", "on_time")
    assert (await shop.kinds())[-1] == "InvoiceClosed"
    unpaid = await shop.open()
    await unit.receives(shop.news.destroyed(shop.tenant, unpaid))
    assert await shop.axes(unpaid) == ("open", "unpaid", "on_time")


async def test_money_for_a_void_invoice_is_credited(unit: ServiceUnderTest, shop: Any) -> None:
    from invoice.commands.void_invoices import VoidInvoice, void_invoices

    invoice = await shop.open()
    await unit.command(void_invoices, VoidInvoice(shop.tenant, invoice, "mistake", "key_test"))
    await unit.receives(booked(shop, invoice, TOTAL))
    (late,) = await unit.facts(InvoiceLatePayment)
    assert (late.policy, late.received_micros, late.status.document) == ("credit", 0, "void")
    assert await shop.axes(invoice) == ("void", "unpaid", "on_time")


async def test_news_of_unknown_or_foreign_invoices_changes_nothing(
    unit: ServiceUnderTest, shop: Any
) -> None:
    invoice = await shop.open()
    before = await shop.state(invoice)
    foreign = shop.news.booked(uuid4(), invoice, uuid4(), uuid4(), TOTAL)
    unknown = shop.news.booked(shop.tenant, uuid4(), uuid4(), uuid4(), TOTAL)
    await unit.receives(foreign, unknown, shop.news.ready(uuid4(), invoice))
    assert await shop.state(invoice) == before
    assert await unit.worker.fetchval("select count(*) from dead_letter") == 0


@pytest.mark.parametrize("seed", range(6))
async def test_a_doubled_and_shuffled_stream_ends_in_the_same_state(
    unit: ServiceUnderTest, shop: Any, seed: int
) -> None:
    rng = random.Random(seed)
    news, tenant = shop.news, shop.tenant
    invoice = (await shop.drafts(issue=True))[0].id
    one, two, three = uuid4(), uuid4(), uuid4()
    first = news.booked(tenant, invoice, one, uuid4(), 7_000_000)
    second = news.booked(tenant, invoice, two, uuid4(), 4_000_000, excess=5)
    payments = [
        [news.seen(tenant, invoice, one, 7_000_000)],
        [
            news.seen(tenant, invoice, two, 4_000_005),
            news.reverted(tenant, invoice, two, 4_000_005, was_final=True),
        ],
        [news.seen(tenant, invoice, three, 9), news.reverted(tenant, invoice, three, 9)],
    ]
    others = [[first], [second], [news.reversed(second, uuid4())]]
    others += [[news.destroyed(tenant, invoice)], [news.ready(tenant, invoice)]]
    streams = [[record_of(fact) for fact in stream] for stream in payments + others]
    merged: list[Any] = []
    while streams:
        stream = rng.choice(streams)
        merged.append(stream.pop(0))
        if rng.random() < 0.5:
            merged.append(rng.choice(merged))
        streams = [stream for stream in streams if stream]
    while merged:
        size = rng.randint(1, 4)
        await unit.receives(*merged[:size])
        merged = merged[size:]
    state = await shop.state(invoice)
    assert tuple(map(str, state.axes)) == ("open", "partial", "on_time")
    assert state.received_micros == 7_000_000
    assert state.number == "INV-000001"
    facts = [fact for fact in await unit.facts() if fact.invoice_id == invoice]
    assert [type(fact).__name__ for fact in facts].count("InvoiceIssued") == 1
    assert facts[-1].received_micros == 7_000_000
    assert facts[-1].status.settlement == "partial"
    await unit.receives(news.booked(tenant, invoice, uuid4(), uuid4(), 3_000_000))
    assert await shop.axes(invoice) == ("closed", "paid", "on_time")


async def test_the_recipient_travels_sealed_and_parties_are_frozen(
    unit: ServiceUnderTest, shop: Any
) -> None:
    import json

    from invoice.commands.create_customers import CreateCustomer, NewPerson, create_customers
    from invoice.commands.edit_customers import EditCustomer, edit_customers
    from invoice.commands.put_issuer_profiles import PutIssuerProfile, put_issuer_profiles
    from invoice.domain.states import Issuer
    from invoice.settings import sealer
    from invoiceos_contracts import encode

    person = NewPerson("Ada Lovelace", "ada@example.test", ("1 Way",), "C-1")
    (customer,) = await unit.command(create_customers, CreateCustomer(shop.tenant, person))
    issuer = PutIssuerProfile(shop.tenant, Issuer("Analytical Engines", ("London",)))
    await unit.command(put_issuer_profiles, issuer)
    invoice = await shop.open(customer_id=customer.id)
    (issued,) = await unit.facts(InvoiceIssued)
    opened = sealer().open(issued.recipient, subject=encode("cus", customer.id))
    assert json.loads(opened) == {"email": "ada@example.test", "name": "Ada Lovelace"}
    assert issued.issuer_name == "Analytical Engines"
    assert b"Ada" not in issued.write()
    stored = await unit.worker.fetchval(
        "select string_agg(c::text, '') from customer c where tenant_id = $1", shop.tenant
    )
    assert "Ada" not in stored and "ada@" not in stored and "Way" not in stored
    change = EditCustomer(shop.tenant, customer.id, {"name": "Countess"})
    await unit.command(edit_customers, change)
    frozen = (await shop.state(invoice)).parties.contact
    text = sealer().open(frozen, subject=encode("cus", customer.id))
    assert json.loads(text)["name"] == "Ada Lovelace"


async def test_the_selector_is_told_what_payer_and_issuer_have_done_before(
    unit: ServiceUnderTest, shop: Any
) -> None:
    """Of this payer alone; a draft is not yet anything, and a tenant's past is its own."""
    from invoice.commands.create_customers import CreateCustomer, NewPerson, create_customers
    from invoice.commands.issue_invoices import IssueInvoice, issue_invoices

    person = NewPerson("Ada", None, (), None)
    (customer,) = await unit.command(create_customers, CreateCustomer(shop.tenant, person))
    payer = customer.id
    first, second = await shop.drafts(2, issue=True, customer_id=payer)
    await shop.drafts(customer_id=payer)
    await unit.receives(*[shop.news.ready(shop.tenant, one.id) for one in (first, second)])
    await unit.receives(booked(shop, first.id, TOTAL))
    (third,) = await shop.drafts(issue=True, customer_id=payer)
    (draft,) = await shop.drafts(customer_id=payer)
    await unit.command(issue_invoices, IssueInvoice(shop.tenant, draft.id))
    (stranger,) = await shop.drafts(issue=True)
    asked = {fact.invoice_id: fact.selector for fact in await unit.facts(InvoiceIssuing)}
    told = {
        name: (s.payer_invoices, s.payer_settled, s.payer_pays_by_token, s.issuer_late_ppm)
        for name, s in asked.items()
    }
    assert told == {
        first.id: (0, 0, False, None),
        second.id: (0, 0, False, None),
        third.id: (2, 1, True, 0),
        draft.id: (2, 1, True, 0),
        stranger.id: (None, None, None, 0),
    }
    assert asked[third.id].payer_known
