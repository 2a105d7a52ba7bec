"""The reserve by source: one unit of difference is stated within one batch, and exactly once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

import pytest

from chassis.evidence import verify
from invoiceos_contracts import PLATFORM
from invoiceos_contracts.ledger_v1 import ReserveBreached, ReserveRestored, ReserveStated
from invoiceos_contracts.provider_v1 import ReserveSourceObserved
from messaging import Tx
from reserve_ledger.domain.sources import signed_hash
from reserve_ledger.settings import signer
from testkit.service import ServiceUnderTest

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OWN = 1_000_000
"""What lay at the master's address before any payment."""


def seen(balance: int, block: int, **more: Any) -> ReserveSourceObserved:
    values = {
        "tenant_id": PLATFORM,
        "source_id": uuid5(PLATFORM, str(more.get("kind", "chain"))),
        "source": "tempo:1:0xmaster",
        "asset": "PATHUSD",
        "kind": "chain",
        "balance_minor": OWN + balance,
        "deposits_minor": balance,
        "block_number": block,
        "block_hash": "0x" + "ab" * 32,
        "as_of": NOW + timedelta(seconds=block),
    }
    return ReserveSourceObserved(**(values | more))


async def last(ledger: ServiceUnderTest) -> ReserveStated:
    return (await ledger.facts(ReserveStated))[-1]


async def test_a_statement_has_the_reserve_by_source_beside_the_book(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    await ledger.receives(seen(0, 1))
    paid = payer.succeeded(Tx.new_id(), 500)
    await ledger.receives(paid)
    await ledger.receives(seen(500, 2))
    await ledger.receives(payer.succeeded(Tx.new_id(), 20))
    stated = await last(ledger)
    (observed,) = stated.observed
    assert (observed.balance_minor, observed.opening_minor) == (OWN + 500, OWN)
    assert (observed.source, observed.block_number) == ("tempo:1:0xmaster", 2)
    (compared,) = stated.comparisons
    assert (compared.book_minor, compared.observed_minor) == (520, 500)
    assert (compared.in_transit_minor, compared.difference_minor) == (-20, 0)
    assert not compared.breached
    (head,) = stated.ledgers
    assert (head.tenant_id, head.sequence) == (payer.tenant_id, 2)
    whole = signed_hash(stated.ledger_head, stated.ledgers, stated.observed, stated.comparisons)
    assert verify(signer().public_key, whole, stated.observed_signature or "")
    assert await ledger.facts(ReserveBreached) == []
    await auditor.sound()


@pytest.mark.parametrize("drift", [1, -1])
async def test_one_unit_of_drift_is_stated_at_once_and_once(
    ledger: ServiceUnderTest, payer: Any, drift: int
) -> None:
    await ledger.receives(seen(0, 1), payer.succeeded(Tx.new_id(), 500))
    await ledger.receives(seen(500, 2, balance_minor=OWN + 500 + drift))
    (breached,) = await ledger.facts(ReserveBreached)
    assert (breached.kind, breached.asset) == ("chain", "PATHUSD")
    assert (breached.difference_minor, breached.frozen) == (drift, False)
    assert (await last(ledger)).sequence == breached.sequence
    await ledger.receives(seen(500, 3, balance_minor=OWN + 500 + drift))
    await ledger.receives(payer.succeeded(Tx.new_id(), 7))
    assert len(await ledger.facts(ReserveBreached)) == 1
    await ledger.receives(seen(507, 4))
    (restored,) = await ledger.facts(ReserveRestored)
    assert restored.sequence == (await last(ledger)).sequence
    assert await ledger.worker.fetchval("select count(*) from reserve_breach") == 0


async def test_the_order_of_looks_and_payments_does_not_matter(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    first, paid = seen(0, 1), payer.succeeded(Tx.new_id(), 500)
    await ledger.receives(first)
    await ledger.receives(seen(500, 9))
    assert (await ledger.facts(ReserveBreached)) == []
    await ledger.receives(paid)
    await ledger.receives(seen(3, 2, balance_minor=7), first)
    assert (await ledger.facts(ReserveBreached)) == []
    (compared,) = (await last(ledger)).comparisons
    assert (compared.in_transit_minor, compared.difference_minor) == (0, 0)
    await ledger.receives(payer.reverted(paid), seen(0, 10))
    await ledger.receives(payer.succeeded(Tx.new_id(), 1))
    (compared,) = (await last(ledger)).comparisons
    assert (compared.book_minor, compared.in_transit_minor) == (1, -1)


async def test_what_payments_booked_is_kept_as_their_sum(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    paid = [payer.succeeded(Tx.new_id(), 100 + n) for n in range(5)]
    held = payer.conflicted(Tx.new_id(), 50, asset="PATHUSD")
    await ledger.receives(*paid, held)
    await ledger.receives(
        payer.reverted(paid[0]), payer.reverted(held), payer.voided(paid[1].invoice_id)
    )
    await ledger.receives(*paid)
    kept = await ledger.worker.fetch("select asset, booked_minor::bigint from reserve_booked")
    summed = await ledger.worker.fetch(
        """select asset, sum(amount_minor)::bigint as booked_minor from payment_booking
        where state in ('booked', 'suspense') group by asset"""
    )
    assert [tuple(row) for row in kept] == [tuple(row) for row in summed]


async def test_supply_is_what_the_book_says_circulates(ledger: ServiceUnderTest) -> None:
    await ledger.receives(
        seen(0, 1, kind="supply", source="tempo:1:0xtoken", balance_minor=1, deposits_minor=None)
    )
    (breached,) = await ledger.facts(ReserveBreached)
    assert (breached.kind, breached.difference_minor) == ("supply", 1)
