"""A program that knows nothing of the ledger proves its statements from the topic alone."""

import random
from typing import Any

import pytest

from audit.reserve_verifier import ReserveVerifier
from invoiceos_contracts.base import Event
from invoiceos_contracts.ledger_v1 import ReserveStated, TransactionPosted
from messaging import Tx
from reserve_ledger.settings import signer
from testkit.service import ServiceUnderTest


@pytest.fixture
async def said(ledger: ServiceUnderTest, payer: Any, new_payer: Any) -> list[Event]:
    """What two tenants' payments, a void and a reversal made the ledger say."""
    other = new_payer()
    paid = [payer.succeeded(Tx.new_id(), 9_000_000 + n * 900_000) for n in range(4)]
    await ledger.receives(*paid, other.succeeded(Tx.new_id(), 77))
    await ledger.receives(payer.reverted(paid[0]), payer.conflicted(Tx.new_id(), 5))
    await ledger.receives(payer.voided(paid[1].invoice_id))
    await ledger.receives(other.succeeded(Tx.new_id(), 3, asset="USDC"))
    return list(await ledger.facts())


def findings(facts: list[Event]) -> list[tuple[int, str]]:
    verifier = ReserveVerifier(signer().public_key)
    for fact in facts:
        verifier.take(fact)
    return [(each.sequence, each.what) for each in verifier.findings()]


def replaced(facts: list[Event], old: Event, **fields: Any) -> list[Event]:
    return [fact.model_copy(update=fields) if fact is old else fact for fact in facts]


def drifted(stated: ReserveStated) -> Any:
    first, *rest = stated.positions
    more = {"reserve_minor": first.reserve_minor + 1, "own_funds_minor": first.own_funds_minor + 1}
    (leg, *legs) = first.reserve
    moved = leg.amount.model_copy(update={"amount_minor": leg.amount.amount_minor + 1})
    more["reserve"] = (leg.model_copy(update={"amount": moved}), *legs)
    return (first.model_copy(update=more), *rest)


def test_what_the_ledger_says_holds_in_whatever_order_it_comes_and_twice(
    said: list[Event],
) -> None:
    shuffled = said * 2
    random.Random(3).shuffle(shuffled)
    assert findings(said) == findings(shuffled) == []
    verifier = ReserveVerifier()
    for fact in said:
        verifier.take(fact)
    assert verifier.findings() == []
    assert verifier.recomputed >= 6


def test_one_unit_more_is_found_even_by_whoever_has_no_key(said: list[Event]) -> None:
    stated = [fact for fact in said if isinstance(fact, ReserveStated)][2]
    altered = replaced(said, stated, positions=drifted(stated))
    verifier = ReserveVerifier()
    for fact in altered:
        verifier.take(fact)
    assert {each.sequence for each in verifier.findings()} >= {3}
    assert (3, "the signature over its positions is wrong") in findings(altered)


def test_a_missing_or_altered_transaction_is_named(said: list[Event]) -> None:
    posted = [fact for fact in said if isinstance(fact, TransactionPosted)]
    gone = findings([fact for fact in said if fact is not posted[2]])
    assert any(f"transaction {posted[2].sequence} of" in what for _, what in gone)
    legs = posted[0].postings
    more = legs[0].amount.model_copy(update={"amount_minor": legs[0].amount.amount_minor + 1})
    altered = (legs[0].model_copy(update={"amount": more}), *legs[1:])
    found = {
        what.partition(" of ")[2][26:]
        for _, what in findings(replaced(said, posted[0], postings=altered))
    }
    assert any("does not sum to zero" in what for what in found)
    assert any("is not what was hashed" in what for what in found)


def test_a_missing_statement_is_named(said: list[Event]) -> None:
    second = [fact for fact in said if isinstance(fact, ReserveStated)][1]
    found = findings([fact for fact in said if fact is not second])
    assert (3, "follows 1: statements between are missing") in found
