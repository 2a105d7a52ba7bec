"""The fold, the templates, the chain and the statement, without any database."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.evidence import GENESIS, Signer, canonical, verify
from messaging import Tx
from money import MAX_MINOR
from reserve_ledger.domain import reserve, templates
from reserve_ledger.domain.books import BookingState, Books, Terms
from reserve_ledger.domain.catalogue import Leg, Template
from reserve_ledger.domain.chain import Head, Ledger, Walk, canonical_form, is_balanced
from reserve_ledger.domain.chart import CHART, Side
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.returns import Till
from reserve_ledger.domain.templates import Split

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TENANT = UUID(int=7)
INVOICES = [UUID(int=100 + n) for n in range(3)]
PAYMENTS = [UUID(int=200 + n) for n in range(6)]
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "pay", "pay", "revert", "void", "conflict"]),
        st.integers(0, len(PAYMENTS) - 1),
        st.integers(0, 25_000_000),
        st.sampled_from(["PATHUSD", "USDC", "EURC", "NOPE"]),
    ),
    max_size=40,
)


def fresh_books(fee_ppm: int = 15_000) -> Books:
    return Books([], [], terms=Terms(fee_ppm), new_id=Tx.new_id, till=Till())


def fact_of(payer: Any, action: str, number: int, amount: int, asset: str) -> Any:
    """A payment keeps its invoice, amount and asset, as payments do."""
    invoice, payment = INVOICES[number % len(INVOICES)], PAYMENTS[number]
    if action == "void":
        return payer.voided(invoice)
    if action == "conflict":
        return payer.conflicted(invoice, amount, asset=asset, payment_id=payment)
    paid = payer.succeeded(invoice, amount, asset=asset, payment_id=payment)
    return paid if action == "pay" else payer.reverted(paid)


@pytest.fixture(scope="module")
def someone(payer_class: Any) -> Any:
    return payer_class(TENANT)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, fee=st.sampled_from([0, 15_000, 333_333, 1_000_000]))
def test_any_sequence_keeps_the_books_balanced_and_covered(
    someone: Any, actions: Any, fee: int
) -> None:
    books, ledger = fresh_books(fee), Ledger(Head(TENANT, 0, GENESIS, NOW), {})
    rows = []
    for action in actions:
        for entry in books.take(fact_of(someone, *action), Tx.new_id()):
            rows.append(ledger.post(entry))
            totals = {key: balance.net_minor for key, balance in ledger.balances.items()}
            stated = reserve.positions(totals)
            assert reserve.is_covered(stated)
            assert all(net <= 0 for (code, _), net in totals.items() if code.startswith("2"))
    assert Walk().follow(rows) is None
    for obligation in books._obligations.values():
        assert obligation.applied_micros <= max(0, obligation.due_micros or 0)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS)
def test_saying_everything_twice_changes_nothing(someone: Any, actions: Any) -> None:
    books = fresh_books()
    for action in actions:
        fact = fact_of(someone, *action)
        books.take(fact, Tx.new_id())
        assert books.take(fact, Tx.new_id()) == []


@settings(max_examples=100, deadline=None)
@given(
    amounts=st.lists(st.integers(1, 25_000_000), min_size=1, max_size=6),
    place=st.integers(0, 6),
    reverted=st.sets(st.integers(0, 5)),
)
def test_when_the_void_comes_does_not_matter(
    someone: Any, amounts: list[int], place: int, reverted: set[int]
) -> None:
    facts = [
        someone.succeeded(INVOICES[0], amount, payment_id=PAYMENTS[n])
        for n, amount in enumerate(amounts)
    ]
    facts += [someone.reverted(facts[n]) for n in reverted if n < len(amounts)]
    ends = []
    for at in (0, min(place, len(facts)), len(facts)):
        books, net = fresh_books(), defaultdict(int)
        for fact in [*facts[:at], someone.voided(INVOICES[0]), *facts[at:]]:
            for entry in books.take(fact, Tx.new_id()):
                for leg in entry.legs:
                    net[leg.account, leg.asset] += leg.amount_minor
        ends.append({key: minor for key, minor in net.items() if minor})
    assert ends[0] == ends[1] == ends[2]
    assert {code for code, _ in ends[0]} <= {"1200", "2500"}


def test_payment_legs_of_part_all_more_and_nothing() -> None:
    def named(split: Split) -> tuple[str, list[tuple[str, int]]]:
        template, legs = templates.payment(split)
        return str(template), [(leg.account, leg.amount_minor) for leg in legs]

    assert named(Split("USDC", 100, 100, 3)) == (
        "invoice_paid.v1",
        [("1200", 100), ("2100", -97), ("4100", -3)],
    )
    assert named(Split("USDC", 100, 100, 0))[1] == [("1200", 100), ("2100", -100)]
    assert named(Split("USDC", 100, 60, 2)) == (
        "invoice_overpaid.v1",
        [("1200", 100), ("2100", -58), ("4100", -2), ("2500", -40)],
    )
    assert named(Split("USDC", 100, 0, 0)) == (
        "payment_unapplied.v1",
        [("1200", 100), ("2500", -100)],
    )


@given(st.integers(0, 10**18), st.integers(0, 1_000_000))
def test_the_fee_is_half_even_and_never_more_than_what_is_applied(applied: int, ppm: int) -> None:
    fee = templates.fee_on(applied, ppm)
    assert 0 <= fee <= applied
    assert abs(fee * 1_000_000 - applied * ppm) <= 500_000
    assert templates.fee_on(1, 500_000) == 0
    assert templates.fee_on(3, 500_000) == 2


def test_a_payment_that_is_no_money_or_of_another_currency_is_held_apart(someone: Any) -> None:
    for asset in ("EURC", "NOPE", "JPY"):
        books = fresh_books()
        paid = someone.succeeded(INVOICES[0], 5, asset=asset, payment_id=PAYMENTS[0])
        (entry,) = books.take(paid, Tx.new_id())
        assert str(entry.template) == "payment_conflicted.v1"
        assert entry.funds is None
        assert books.changed_bookings[0].state is BookingState.SUSPENSE
        (back,) = books.take(someone.reverted(paid, was_final=False), Tx.new_id())
        assert back.reverses == entry.id


def test_a_held_payment_that_succeeds_is_released_and_booked(someone: Any) -> None:
    books = fresh_books()
    held = someone.conflicted(INVOICES[0], 500, asset="PATHUSD", payment_id=PAYMENTS[0])
    (held_entry,) = books.take(held, Tx.new_id())
    paid = someone.succeeded(INVOICES[0], 500, payment_id=PAYMENTS[0])
    released, booked = books.take(paid, Tx.new_id())
    assert (str(released.template), released.reverses) == ("suspense_released.v1", held_entry.id)
    assert str(booked.template) == "invoice_paid.v1"
    (back,) = books.take(someone.reverted(paid), Tx.new_id())
    assert back.reverses == booked.id


def test_a_sighting_that_was_never_final_does_not_undo_a_final_payment(someone: Any) -> None:
    books = fresh_books()
    paid = someone.succeeded(INVOICES[0], 500, payment_id=PAYMENTS[0])
    books.take(paid, Tx.new_id())
    assert books.take(someone.reverted(paid, was_final=False), Tx.new_id()) == []


def test_a_transfer_of_nothing_is_nothing_and_of_less_is_a_bug(someone: Any) -> None:
    assert fresh_books().take(someone.succeeded(INVOICES[0], 0), Tx.new_id()) == []
    with pytest.raises(ValueError, match="negative"):
        fresh_books().take(someone.succeeded(INVOICES[0], -1), Tx.new_id())


def test_the_last_fraction_of_a_cent_takes_a_whole_cent(someone: Any) -> None:
    books = fresh_books(0)
    paid = someone.succeeded(INVOICES[0], 3, asset="USD", due=25_000, due_asset="USDC")
    (entry,) = books.take(paid, Tx.new_id())
    assert str(entry.template) == "invoice_paid.v1"


def test_an_unbalanced_entry_cannot_be_posted(someone: Any) -> None:
    (entry,) = fresh_books().take(someone.succeeded(INVOICES[0], 5), Tx.new_id())
    ledger = Ledger(Head(TENANT, 0, GENESIS, NOW), {})
    for legs in ((), (Leg("1200", "USDC", 1),), (*entry.legs, Leg("1200", "USDC", 1))):
        assert not is_balanced(legs)
        with pytest.raises(AssertionError):
            ledger.post(replace(entry, legs=legs))


def test_the_walk_names_what_is_wrong_and_where(someone: Any) -> None:
    books, ledger = fresh_books(), Ledger(Head(TENANT, 0, GENESIS, NOW), {})
    rows = [
        ledger.post(entry)
        for n in range(5)
        for entry in books.take(
            someone.succeeded(INVOICES[0], 3_000_000, payment_id=PAYMENTS[n]), Tx.new_id()
        )
    ]
    altered = replace(rows[2], entry=replace(rows[2].entry, invoice_id=INVOICES[1]))
    rehashed = replace(rows[2], hash=rows[1].hash)
    moved = replace(rows[2], balances=tuple(b + 1 for b in rows[2].balances))
    for row, sequence, reason in (
        (altered, 3, "altered"),
        (rehashed, 3, "altered"),
        (moved, 3, "balance_altered"),
        (replace(rows[2], previous_hash=rows[0].hash), 3, "not_chained"),
    ):
        fault = Walk().follow([*rows[:2], row, *rows[3:]])
        assert fault is not None
        assert (fault.sequence, fault.reason) == (sequence, reason)
    gap = Walk().follow([*rows[:2], *rows[3:]])
    assert gap is not None and (gap.sequence, gap.reason) == (3, "missing")
    assert Walk().follow(rows) is None


def test_a_statement_is_signed_chained_and_tells_a_breach_of_one_unit() -> None:
    signer = Signer.from_base64("c" * 43 + "=")
    totals = {("1200", "USDC"): 100, ("2100", "USDC"): -90, ("4100", "USDC"): -10}
    heads = [Head(TENANT, 3, "ab" * 32, NOW)]
    stated = reserve.state(totals, heads, reserve.Next(4, "cd" * 32, NOW), signer)
    assert stated.covered and stated.sequence == 4
    assert stated.ledger_head == reserve.ledger_head("cd" * 32, [(TENANT, "ab" * 32)])
    over = reserve.signed_hash(stated.ledger_head, stated.positions)
    assert verify(signer.public_key, over, stated.signature)
    totals["1200", "USDC"] -= 1
    breached = reserve.state(totals, heads, reserve.Next(5, stated.ledger_head, NOW), signer)
    assert not breached.covered
    assert breached.positions[0].difference_minor == -1
    assert not verify(
        signer.public_key,
        reserve.signed_hash(stated.ledger_head, breached.positions),
        stated.signature,
    )


def test_a_total_beyond_one_amount_is_stated_in_several() -> None:
    (position,) = reserve.positions({("1200", "USDC"): 2 * MAX_MINOR + 5})
    assert sum(p.amount.amount_minor for p in position.reserve) == position.reserve_minor


def test_the_schema_knows_the_same_accounts_as_the_chart() -> None:
    root = Path(__file__).parents[2]
    sql = (root / "services/reserve-ledger/migrations/0001_pre_ledger.sql").read_text()
    listed = sql.split("create domain account_code")[1].split(";")[0]
    assert {part for part in listed.split("'") if part.isdigit()} == set(CHART)
    assert CHART["2100"].normal is Side.CREDIT and CHART["6000"].normal is Side.DEBIT


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    actor=st.none() | TEXTS,
    metadata=st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3),
    reference=st.none() | st.from_regex(r"[A-Za-z0-9._:/@+=#-]{1,20}", fullmatch=True),
    effective=st.none() | st.datetimes(timezones=st.just(UTC)),
    address=st.none() | st.just("merchant:available:shop-7"),
)
def test_what_is_hashed_is_the_canonical_form_and_old_transactions_keep_theirs(
    actor: str | None,
    metadata: dict[str, str] | None,
    reference: str | None,
    effective: datetime | None,
    address: str | None,
) -> None:
    entry = Entry(
        tenant_id=TENANT,
        id=INVOICES[0],
        template=Template("transfer", 1),
        cause_event_id=INVOICES[1],
        legs=(Leg("1200", "USDC", 5), Leg("2100", "USDC", -5, address)),
        reference=reference,
        effective_at=effective,
        metadata=canonical(metadata).decode() if metadata is not None else None,
        actor=actor,
    )
    plain: dict[str, object] = {
        "tenant_id": str(TENANT),
        "id": str(entry.id),
        "sequence": 3,
        "template": "transfer.v1",
        "cause_event_id": str(entry.cause_event_id),
        "invoice_id": None,
        "payment_id": None,
        "reverses": None,
        "posted_at": "2026-11-20T12:00:00.000000+00:00",
        "postings": [["1200", "USDC", 5], ["2100", "USDC", -5, *([address] if address else [])]],
    }
    said = {"actor": actor, "metadata": metadata, "reference": reference}
    plain |= {name: value for name, value in said.items() if value is not None}
    if effective is not None:
        plain["effective_at"] = effective.isoformat(timespec="microseconds")
    assert canonical_form(entry, 3, NOW).encode() == canonical(plain)
