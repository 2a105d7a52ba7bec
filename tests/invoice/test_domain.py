"""What money, dates and wallets make of an invoice, without any database."""

import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoice.domain import documents, facts, settlement
from invoice.domain.links import PaymentLink, link_for, read_token
from invoice.domain.states import (
    LABELS,
    D,
    Invoice,
    Issuer,
    Line,
    Opening,
    Parties,
    S,
    T,
    Terms,
)
from invoice.domain.totals import work_out
from invoice.errors import (
    InvoiceHasMoney,
    InvoiceNotDraft,
    InvoiceNotFound,
    InvoiceNotIssuable,
    InvoiceNotOpen,
    PayableUntilPassed,
    ToleranceTooLarge,
    TotalNotPositive,
    Unacceptable,
)
from invoiceos_contracts.invoice_v1 import (
    InvoiceLatePayment,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
)
from messaging import Refusal
from money import AmountOff, Money, PercentOff, asset

TENANT, INVOICE = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DUE = NOW + timedelta(days=10)
EXPIRES = NOW + timedelta(days=20)
TOTAL = 10_000_000
"""10.00 USD in micros, and in minor units of PATHUSD."""


def terms(**other: Any) -> Terms:
    wanted = {"asset": "USD", "customer_id": None, "reference": None, "due_at": DUE}
    return Terms(**(wanted | {"watch_window_s": 60} | other))


def a_draft(**other: Any) -> Invoice:
    worked = work_out(terms(**other), [Line("Work", "1", 1000)])
    return documents.draft(TENANT, INVOICE, worked, NOW)[0]


def opened(news: Any, invoice: Invoice | None = None) -> Invoice:
    issuing = invoice or documents.issue(a_draft(), NOW)[0]
    given_ = Opening("INV-000001", PaymentLink(TENANT, bytes(16)), Parties(Issuer()))
    ready = news.ready(TENANT, INVOICE, expires_at=EXPIRES)
    return documents.open_(issuing, ready, given_, link="https://x/pay/y", now=NOW)[0]


def folded(invoice: Invoice, *stream: Any) -> tuple[Invoice, list[Any]]:
    stated: list[Any] = []
    for fact in stream:
        invoice, more = settlement.fold(invoice, fact, now=NOW)
        stated += more
    return invoice, stated


def kinds(stated: list[Any]) -> list[str]:
    return [type(fact).__name__ for fact in stated]


def pay(news: Any, number: int, minor: int, **other: Any) -> Any:
    return news.booked(
        TENANT, INVOICE, UUID(int=100 + number), UUID(int=200 + number), minor, **other
    )


@pytest.mark.parametrize(
    ("minor", "excess", "axis", "kind"),
    [
        (TOTAL, 0, S.PAID, InvoicePaid),
        (TOTAL - 1, 0, S.PARTIAL, InvoicePartiallyPaid),
        (TOTAL, 1, S.OVERPAID, InvoiceOverpaid),
        (1, 0, S.PARTIAL, InvoicePartiallyPaid),
    ],
)
def test_a_booking_is_judged_to_the_last_millionth(
    news: Any, minor: int, excess: int, axis: S, kind: type
) -> None:
    after, stated = folded(opened(news), pay(news, 1, minor, excess=excess))
    assert after.settlement is axis
    assert after.received_micros == minor + excess
    (fact,) = stated
    assert isinstance(fact, kind)
    assert fact.status.settlement == axis
    assert fact.amount.amount_minor == minor + excess
    assert fact.received.amount_minor == (minor + excess) // 10_000
    assert fact.due.amount_minor == -(-max(0, TOTAL - minor - excess) // 10_000)


@pytest.mark.parametrize(
    ("tolerance", "missing", "axis"),
    [
        ({}, 1, S.PARTIAL),
        ({"tolerance_ppm": 10_000}, 100_000, S.PAID),
        ({"tolerance_ppm": 10_000}, 100_001, S.PARTIAL),
        ({"tolerance_minor": 5}, 50_000, S.PAID),
        ({"tolerance_minor": 5}, 50_001, S.PARTIAL),
        ({"tolerance_ppm": 10_000, "tolerance_minor": 5}, 100_000, S.PAID),
        ({"tolerance_ppm": 1, "tolerance_minor": 5}, 50_000, S.PAID),
    ],
)
def test_the_larger_tolerance_decides_what_may_be_missing(
    news: Any, tolerance: dict[str, int], missing: int, axis: S
) -> None:
    issuing = documents.issue(a_draft(**tolerance), NOW)[0]
    after, stated = folded(opened(news, issuing), pay(news, 1, TOTAL - missing))
    assert after.settlement is axis
    assert stated[0].shortage.amount_minor == -(-missing // 10_000)
    assert stated[0].due.amount_minor == (0 if axis is S.PAID else -(-missing // 10_000))


def test_money_of_another_currency_never_counts(news: Any) -> None:
    for odd in ("EURC", "NOPE"):
        after, stated = folded(opened(news), pay(news, 1, TOTAL, asset=odd))
        assert (after.settlement, after.received_micros) == (S.UNPAID, 0)
        assert kinds(stated) == ["InvoiceLatePayment"]
        assert stated[0].policy == "credit"


def test_an_enormous_booking_is_credited_and_breaks_nothing(news: Any) -> None:
    after, stated = folded(opened(news), pay(news, 1, 10**18, excess=10**18 - 1))
    assert (after.received_micros, after.settlement) == (0, S.UNPAID)
    assert kinds(stated) == ["InvoiceLatePayment"]


def test_each_booking_counts_once(news: Any) -> None:
    booking = pay(news, 1, TOTAL)
    after, stated = folded(opened(news), booking, booking, booking)
    assert after.received_micros == TOTAL
    assert kinds(stated) == ["InvoicePaid"]


def test_a_seen_payment_is_processing_until_it_is_booked_or_taken_back(news: Any) -> None:
    seen = news.seen(TENANT, INVOICE, UUID(int=101), TOTAL)
    back = news.reverted(TENANT, INVOICE, UUID(int=101), TOTAL)
    after, stated = folded(opened(news), seen, seen, back, seen, pay(news, 1, TOTAL))
    assert kinds(stated) == [
        "InvoiceProcessing",
        "InvoicePaymentFailed",
        "InvoiceProcessing",
        "InvoicePaid",
    ]
    assert after.settlement is S.PAID


def test_a_payment_that_is_booked_already_is_not_processing(news: Any) -> None:
    booking = pay(news, 1, 1)
    after, stated = folded(opened(news), booking, news.seen(TENANT, INVOICE, UUID(int=101), 1))
    assert (after.settlement, kinds(stated)) == (S.PARTIAL, ["InvoicePartiallyPaid"])
    after, stated = folded(after, news.reversed(booking, UUID(int=900)))
    assert (after.settlement, kinds(stated)) == (S.UNPAID, ["InvoicePaymentReversed"])
    assert stated[0].amount.amount_minor == -1


def test_money_that_comes_before_the_invoice_is_open_counts_when_it_opens(news: Any) -> None:
    issuing = documents.issue(a_draft(), NOW)[0]
    early, stated = folded(
        issuing, news.seen(TENANT, INVOICE, UUID(int=109), 5), pay(news, 1, TOTAL)
    )
    assert (early.axes, stated) == ((D.ISSUING, S.UNPAID, T.ON_TIME), [])
    opening = Opening("INV-000001", PaymentLink(TENANT, bytes(16)), Parties(Issuer()))
    after, stated = documents.open_(early, news.ready(TENANT, INVOICE), opening, link="l", now=NOW)
    assert kinds(stated) == ["InvoiceIssued", "InvoiceProcessing", "InvoicePaid"]
    assert stated[0].status.settlement == S.UNPAID
    assert after.settlement is S.PAID


def test_late_money_is_accepted_while_open_and_credited_when_void(news: Any) -> None:
    expired, _ = settlement.expire(opened(news), EXPIRES)
    after, stated = folded(expired, pay(news, 1, TOTAL))
    assert kinds(stated) == ["InvoiceLatePayment", "InvoicePaid"]
    assert stated[0].policy == "accept"
    assert after.axes == (D.OPEN, S.PAID, T.PAID_LATE)
    void, _ = documents.void(opened(news), reason="mistake", by="key")
    after, stated = folded(void, pay(news, 1, TOTAL))
    assert kinds(stated) == ["InvoiceLatePayment"]
    assert stated[0].policy == "credit"
    assert after.axes == (D.VOID, S.UNPAID, T.ON_TIME)


def test_an_overdue_invoice_is_settled_late(news: Any) -> None:
    overdue, stated = settlement.fall_due(opened(news), DUE)
    assert kinds(stated) == ["InvoiceOverdue"]
    after, stated = folded(overdue, pay(news, 1, 1), pay(news, 2, TOTAL - 1))
    assert kinds(stated) == ["InvoicePartiallyPaid", "InvoicePaid", "InvoiceSettledLate"]
    assert stated[-1].since == DUE
    assert after.timeliness is T.SETTLED_LATE


def test_dates_that_were_moved_or_do_not_matter_any_more_change_nothing(news: Any) -> None:
    invoice = opened(news)
    assert settlement.fall_due(invoice, DUE - timedelta(1)) == (invoice, [])
    longer, _ = settlement.extend(invoice, EXPIRES + timedelta(days=1))
    assert settlement.expire(longer, EXPIRES) == (longer, [])
    assert settlement.extend(longer, EXPIRES) == (longer, [])
    paid, _ = folded(invoice, pay(news, 1, TOTAL))
    assert settlement.fall_due(paid, DUE) == (paid, [])
    assert settlement.expire(paid, EXPIRES) == (paid, [])


def test_a_reversal_after_the_dates_makes_the_invoice_overdue_and_expired(news: Any) -> None:
    booking = pay(news, 1, TOTAL)
    paid, _ = folded(opened(news), booking)
    after, stated = settlement.fold(
        paid, news.reversed(booking, UUID(int=9)), now=EXPIRES + timedelta(days=1)
    )
    assert kinds(stated) == ["InvoicePaymentReversed", "InvoiceOverdue", "InvoiceExpired"]
    assert after.axes == (D.OPEN, S.UNPAID, T.EXPIRED)


def test_a_wallets_end_closes_a_settled_invoice_and_a_reversal_opens_it_again(news: Any) -> None:
    booking, gone = pay(news, 1, TOTAL), news.destroyed(TENANT, INVOICE)
    after, stated = folded(opened(news), booking, gone, gone)
    assert kinds(stated) == ["InvoicePaid", "InvoiceClosed"]
    other_way, stated = folded(opened(news), gone, booking)
    assert kinds(stated) == ["InvoicePaid", "InvoiceClosed"]
    assert other_way.axes == after.axes == (D.CLOSED, S.PAID, T.ON_TIME)
    late, stated = folded(after, pay(news, 2, 5))
    assert [fact.policy for fact in stated if isinstance(fact, InvoiceLatePayment)] == ["credit"]
    assert late.axes == (D.CLOSED, S.OVERPAID, T.ON_TIME)
    again, stated = folded(after, news.reversed(booking, UUID(int=9)))
    assert kinds(stated) == ["InvoicePaymentReversed", "InvoiceReopened"]
    assert again.axes == (D.OPEN, S.UNPAID, T.ON_TIME)


def refund(news: Any, booking: Any, minor: int, number: int = 900) -> Any:
    return news.refunded(booking, UUID(int=number), minor)


@pytest.mark.parametrize(
    ("paid", "back", "axis", "left"),
    [
        (TOTAL, 1, S.PARTIALLY_REFUNDED, TOTAL - 1),
        (TOTAL, TOTAL, S.REFUNDED, 0),
        (TOTAL + 10_000, 10_000, S.PAID, TOTAL),
        (TOTAL + 10_000, 4_000, S.OVERPAID, TOTAL + 6_000),
        (5, 2, S.PARTIALLY_REFUNDED, 3),
        (5, 5, S.REFUNDED, 0),
        (5, 9, S.REFUNDED, 0),
    ],
)
def test_money_given_back_is_told_once_and_makes_nothing_owed_again(
    news: Any, paid: int, back: int, axis: S, left: int
) -> None:
    booking = pay(news, 1, paid)
    before, _ = folded(opened(news), booking)
    after, stated = folded(before, refund(news, booking, back), refund(news, booking, back))
    assert kinds(stated) == ["InvoiceRefunded"]
    assert (after.settlement, after.is_settled) == (axis, before.is_settled)
    assert stated[0].left.amount_minor == left // 10_000
    assert stated[0].due == settlement.facts.due(before)
    assert after.label


def test_money_that_never_counted_can_go_back_without_a_word(news: Any) -> None:
    counted, other = pay(news, 1, TOTAL), pay(news, 2, 5, asset="EURX")
    start, _ = folded(opened(news), counted)
    after, stated = folded(start, other, refund(news, other, 5))
    assert (after.settlement, kinds(stated)) == (S.PAID, ["InvoiceLatePayment"])


def test_a_lost_dispute_charges_back_and_the_ledgers_last_word_counts(news: Any) -> None:
    booking = pay(news, 1, TOTAL)
    opened_, lost, won = (
        news.disputed(booking, UUID(int=800), TOTAL, outcome, day)
        for day, outcome in enumerate(("opened", "lost", "won"))
    )
    paid, _ = folded(opened(news), booking)
    same, stated = folded(paid, opened_)
    assert (same.axes, stated) == (paid.axes, [])
    gone, stated = folded(same, lost, lost, opened_)
    assert (gone.settlement, kinds(stated)) == (S.CHARGED_BACK, ["InvoiceChargedBack"])
    back, stated = folded(gone, won)
    assert (back.settlement, kinds(stated)) == (S.PAID, ["InvoicePaid"])
    for order in itertools.permutations([booking, opened_, lost, won]):
        assert folded(opened(news), *order)[0].axes == back.axes


def test_an_attempt_to_collect_is_on_its_way_until_it_ends_in_any_order(news: Any) -> None:
    created, submitted, failed = news.collecting(TENANT, INVOICE, UUID(int=150))
    going, stated = folded(opened(news), created, submitted, created)
    assert (going.settlement, kinds(stated)) == (S.PROCESSING, ["InvoiceProcessing"])
    ended, stated = folded(going, failed, failed)
    assert (ended.settlement, kinds(stated)) == (S.UNPAID, ["InvoicePaymentFailed"])
    for order in itertools.permutations([created, submitted, failed]):
        assert folded(opened(news), *order)[0].axes == ended.axes
    paid, _ = folded(ended, news.booked(TENANT, INVOICE, UUID(int=150), UUID(int=7), TOTAL))
    assert paid.settlement is S.PAID


def _streams(news: Any, rng: random.Random) -> list[list[Any]]:
    """For each payment: what its topic says, in order; and what the ledger says, in any order."""
    streams: list[list[Any]] = []
    for number in range(rng.randint(1, 4)):
        minor = rng.choice([1, 4_999_999, 5_000_000, TOTAL])
        seen = news.seen(TENANT, INVOICE, UUID(int=100 + number), minor)
        booking = pay(news, number, minor, excess=rng.choice([0, 3]))
        undone = news.reversed(booking, UUID(int=500 + number))

        def back(final: bool, number: int = number, minor: int = minor) -> Any:
            return news.reverted(TENANT, INVOICE, UUID(int=100 + number), minor, was_final=final)

        story = rng.choice(["seen", "booked", "failed", "reversed", "again"])
        if story == "seen":
            streams.append([seen])
        elif story == "booked":
            streams += [[seen], [booking]]
        elif story == "failed":
            streams.append([seen, back(False)])
        elif story == "reversed":
            streams += [[seen, back(True)], [booking], [undone]]
        else:
            second = pay(news, 50 + number, minor).model_copy(
                update={"payment_id": UUID(int=100 + number)}
            )
            streams += [[seen, back(True), seen], [booking], [undone], [second]]
        if rng.random() < 0.4:
            streams.append([refund(news, booking, rng.choice([1, minor]), 900 + number)])
        if rng.random() < 0.2:
            words = [("opened", 0), (rng.choice(["won", "lost"]), 1)]
            dispute = UUID(int=800 + number)
            streams += [[news.disputed(booking, dispute, minor, *word)] for word in words]
    if rng.random() < 0.3:
        streams.append([news.destroyed(TENANT, INVOICE)])
    return streams


def _merged(streams: list[list[Any]], rng: random.Random) -> list[Any]:
    left = [deque(stream) for stream in streams]
    merged = []
    while left:
        stream = rng.choice(left)
        fact = stream.popleft()
        merged += [fact] * (1 + (rng.random() < 0.3))
        if not stream:
            left.remove(stream)
    return merged


def _final(invoice: Invoice) -> Any:
    bookings = {b.transaction_id: b.state for b in invoice.bookings.values()}
    sightings = {p.payment_id: p.sighting for p in invoice.payments.values()}
    gone = {one.id: one.is_gone for one in invoice.returns.values()}
    return invoice.axes, invoice.received_micros, bookings, sightings, gone


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_any_order_and_any_repetition_ends_in_the_same_state(news: Any, seed: int) -> None:
    rng = random.Random(seed)
    streams = _streams(news, rng)
    start = opened(news)
    ends = []
    for _ in range(6):
        after, stated = folded(start, *_merged(streams, rng))
        ends.append(_final(after))
        counted = sum(
            fact.amount.amount_minor
            for fact in stated
            if type(fact).__name__
            in ("InvoicePartiallyPaid", "InvoicePaid", "InvoiceOverpaid", "InvoicePaymentReversed")
            or (type(fact).__name__ == "InvoiceLatePayment" and after.wallet_destroyed_at)
        )
        assert counted == after.received_micros
        assert all(fact.status.document for fact in stated)
        if stated:
            last = stated[-1].status
            assert (last.document, last.settlement, last.timeliness) == after.axes
    assert all(end == ends[0] for end in ends)


def test_every_order_of_one_payments_life_ends_in_the_same_state(news: Any) -> None:
    booking = pay(news, 1, TOTAL)
    life = [
        news.seen(TENANT, INVOICE, UUID(int=101), TOTAL),
        news.reverted(TENANT, INVOICE, UUID(int=101), TOTAL, was_final=True),
        booking,
        news.reversed(booking, UUID(int=9)),
    ]
    ends = [_final(folded(opened(news), *order)[0]) for order in itertools.permutations(life)]
    assert all(end == ends[0] for end in ends)
    assert ends[0][:2] == ((D.OPEN, S.UNPAID, T.ON_TIME), 0)


def _steps(news: Any) -> list[Callable[[Invoice], Invoice]]:
    def news_of(fact: Any) -> Callable[[Invoice], Invoice]:
        return lambda invoice: settlement.fold(invoice, fact, now=NOW)[0]

    def open_(invoice: Invoice) -> Invoice:
        return opened(news, invoice) if documents.awaits_wallet(invoice) else invoice

    small, rest, more = pay(news, 1, 1), pay(news, 2, TOTAL - 1), pay(news, 3, 7)

    steps: list[Callable[[Invoice], Invoice]] = [
        lambda invoice: documents.edit(invoice, work_out(terms(), [Line("W", "1", 1000)]))[0],
        lambda invoice: documents.delete(invoice)[0],
        lambda invoice: documents.issue(invoice, NOW)[0],
        lambda invoice: documents.fail(invoice, news.failed(TENANT, INVOICE))[0],
        lambda invoice: documents.void(invoice, reason="r", by="b")[0],
        lambda invoice: settlement.fall_due(invoice, DUE)[0],
        lambda invoice: settlement.expire(invoice, EXPIRES)[0],
        open_,
    ]
    payment = UUID(int=150)
    told = [
        small,
        rest,
        more,
        news.reversed(small, UUID(int=11)),
        news.reversed(rest, UUID(int=12)),
        news.reversed(more, UUID(int=13)),
        news.seen(TENANT, INVOICE, payment, 1),
        news.reverted(TENANT, INVOICE, payment, 1),
        news.destroyed(TENANT, INVOICE),
    ]
    return steps + [news_of(fact) for fact in told]


def _steps_back(news: Any) -> list[Callable[[Invoice], Invoice]]:
    """What can become of an open invoice that money goes back of."""
    small, rest = pay(news, 1, 2), pay(news, 2, TOTAL - 2)
    told = [
        small,
        rest,
        refund(news, small, 1, 901),
        refund(news, small, 1, 903),
        refund(news, rest, TOTAL - 2, 902),
        news.disputed(rest, UUID(int=800), TOTAL - 2, "lost"),
        news.destroyed(TENANT, INVOICE),
    ]
    return [
        lambda invoice: settlement.fall_due(invoice, DUE)[0],
        lambda invoice: settlement.expire(invoice, EXPIRES)[0],
        *(partial(_folded, fact) for fact in told),
    ]


def _folded(fact: Any, invoice: Invoice) -> Invoice:
    return settlement.fold(invoice, fact, now=NOW)[0]


def _reached(start: Invoice, steps: list[Callable[[Invoice], Invoice]]) -> set[Any]:
    reached = {_essence(start): start}
    queue = deque([start])
    while queue:
        invoice = queue.popleft()
        for step in steps:
            try:
                after = replace(step(invoice), attempt=1)
            except Refusal:
                continue
            essence = _essence(after)
            if essence not in reached:
                reached[essence] = after
                queue.append(after)
    return {invoice.axes for invoice in reached.values()}


def _essence(invoice: Invoice) -> Any:
    gone = invoice.wallet_destroyed_at is not None
    dates = (invoice.overdue_since is None, invoice.expired_since is None)
    axes, received, payments, bookings, returns = _final(invoice)
    return (
        axes,
        received,
        frozenset(payments.items()),
        str(sorted((k.int, v) for k, v in bookings.items())),
        str(sorted((k.int, v) for k, v in returns.items())),
        gone,
        dates,
    )


def test_the_table_of_labels_holds_exactly_the_reachable_combinations(news: Any) -> None:
    combinations = _reached(a_draft(), _steps(news))
    combinations |= _reached(opened(news), _steps_back(news))
    assert combinations == set(LABELS)
    assert len(set(LABELS.values())) == len(LABELS)


def test_only_drafts_and_failed_issues_can_be_changed(news: Any) -> None:
    draft, worked = a_draft(), work_out(terms(), [Line("W", "2", 1000)])
    issuing, _ = documents.issue(draft, NOW)
    failed, _ = documents.fail(issuing, news.failed(TENANT, INVOICE))
    assert documents.edit(draft, worked)[0].sums.total_minor == 2000
    assert documents.edit(failed, worked)[0].document is D.DRAFT
    for other in (issuing, opened(news)):
        with pytest.raises(InvoiceNotDraft):
            documents.edit(other, worked)
        with pytest.raises(InvoiceNotDraft):
            documents.delete(other)
        with pytest.raises(InvoiceNotIssuable):
            documents.issue(other, NOW)
    with pytest.raises(InvoiceNotFound):
        documents.delete(documents.delete(draft)[0])
    with pytest.raises(InvoiceNotOpen):
        documents.void(draft, reason="r", by="b")


def test_an_invoice_with_money_or_money_on_its_way_cannot_be_voided(news: Any) -> None:
    for fact in (pay(news, 1, 1), news.seen(TENANT, INVOICE, UUID(int=101), 1)):
        with pytest.raises(InvoiceHasMoney):
            documents.void(folded(opened(news), fact)[0], reason="r", by="b")


def test_the_wallet_lives_as_asked_or_a_week_beyond_the_due_date() -> None:
    week = timedelta(days=7)
    assert documents.time_to_live_s(a_draft(), NOW) == (DUE + week - NOW).total_seconds()
    assert documents.time_to_live_s(a_draft(ttl_s=5), NOW) == 5
    assert documents.time_to_live_s(a_draft(payable_until=DUE), NOW) == 864_000
    assert documents.time_to_live_s(a_draft(), DUE + week) == week.total_seconds()
    with pytest.raises(PayableUntilPassed):
        documents.issue(a_draft(payable_until=NOW), NOW)


def test_totals_are_those_of_the_one_calculator_and_never_zero() -> None:
    with pytest.raises(TotalNotPositive):
        work_out(terms(), [Line("W", "1", 0)])
    with pytest.raises(TotalNotPositive):
        work_out(terms(), [Line("W", "1", 10, PercentOff(1_000_000))])
    with pytest.raises(ToleranceTooLarge):
        work_out(terms(tolerance_minor=10), [Line("W", "1", 10)])
    with pytest.raises(Unacceptable) as refused:
        work_out(terms(), [Line("W", "1", 10, AmountOff(Money(11, asset("USD"))))])
    assert refused.value.code == "invalid_discount"
    with pytest.raises(Unacceptable) as refused:
        work_out(terms(), [Line("W", "1000000", 10**14)])
    assert refused.value.code == "amount_out_of_range"


@given(st.binary(min_size=32, max_size=32), st.uuids(), st.uuids())
def test_a_token_leads_back_to_its_link_and_to_no_other(
    key: bytes, tenant: UUID, invoice: UUID
) -> None:
    link = link_for(key, tenant, invoice)
    assert read_token(link.token) == link
    assert link_for(key, invoice, tenant) != link or tenant == invoice


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_token(text: str) -> None:
    link = read_token(text)
    assert link is None or link.token == text


def test_amounts_shown_are_rounded_against_nobody(news: Any) -> None:
    after, _ = folded(opened(news), pay(news, 1, 9_999))
    assert facts.standing(after)["received"].amount_minor == 0
    assert facts.standing(after)["due"].amount_minor == 1000
