"""Whoever dies at whichever step of a bulk order: each row is one invoice, and none is lost."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from bulk_process import Doing, Step, carry_out, dies

from ephemeral_manager.domain.bulk import RowState
from invoiceos_contracts.bulk_v1 import BulkRowRequested
from testkit.service import ServiceUnderTest

REFERENCES = tuple("abcde")
COMMITTED = "transaction.committed"


async def step(unit: ServiceUnderTest, name: Step, doing: Doing, point: str = "") -> None:
    """A process dies in the step where a point is named; then another takes it once more."""
    if name == "request":
        await unit.worker.pool.execute("update timer set due_at = now() - interval '1 s'")
    if point:
        environment = {k: v for k, v in os.environ.items() if k.startswith("INVOICEOS_")}
        await asyncio.to_thread(dies, name, doing, point, environment)
    await carry_out(unit.worker, name, doing)


@pytest.fixture
def doing(unit: ServiceUnderTest) -> Doing:
    place = unit.place
    return Doing(place.url("worker"), place.schema, uuid4(), REFERENCES)


async def ended(unit: ServiceUnderTest) -> Counter[str]:
    """Rows by state; what the orders count is the same, and each reference is one invoice."""
    rows = await unit.worker.fetch("select state, count(*) as n from bulk_row group by state")
    stored = Counter({row["state"]: row["n"] for row in rows})
    columns = ", ".join(f"sum({state}) as {state}" for state in RowState)
    (counted,) = await unit.worker.fetch(f"select {columns} from bulk_job")
    assert stored == +Counter({name: int(value) for name, value in dict(counted).items()})
    asked = await unit.facts(BulkRowRequested)
    assert len({fact.reference for fact in asked}) == len({fact.invoice_id for fact in asked})
    assert max(Counter(fact.reference for fact in asked).values(), default=1) == 1
    return stored


async def settled(
    unit: ServiceUnderTest, doing: Doing, new_life: type[Any], point: str = ""
) -> None:
    facts = tuple(
        new_life(tenant_id=fact.tenant_id, invoice_id=fact.invoice_id).issued().model_dump_json()
        for fact in await unit.facts(BulkRowRequested)
    )
    await step(unit, "settle", replace(doing, facts=facts), point)


@pytest.mark.parametrize(
    ("at", "point"),
    [
        ("order", "bulk.ordered"),
        ("request", "bulk.rows_requested"),
        ("request", COMMITTED),
        ("settle", "bulk.rows_settled"),
        ("settle", COMMITTED),
    ],
)
async def test_an_order_ends_with_each_row_ready_once(
    unit: ServiceUnderTest, doing: Doing, new_life: type[Any], at: Step, point: str
) -> None:
    await step(unit, "order", doing, point if at == "order" else "")
    await step(unit, "request", doing, point if at == "request" else "")
    await settled(unit, doing, new_life, point if at == "settle" else "")
    assert await ended(unit) == {"ready": len(REFERENCES)}
    assert [row["state"] for row in await unit.worker.fetch("select state from bulk_job")] == [
        "done"
    ]


async def test_an_order_that_was_stored_and_not_answered_is_the_same_when_it_comes_again(
    unit: ServiceUnderTest, doing: Doing, new_life: type[Any]
) -> None:
    await step(unit, "order", doing, COMMITTED)
    await step(unit, "request", doing)
    await settled(unit, doing, new_life)
    assert await ended(unit) == {"ready": len(REFERENCES), "repeated": len(REFERENCES)}


@pytest.mark.parametrize("point", ["bulk.cancelled", COMMITTED])
async def test_what_was_called_off_is_never_asked_for(
    unit: ServiceUnderTest,
    doing: Doing,
    new_life: type[Any],
    small_batches: Callable[[int], None],
    point: str,
) -> None:
    small_batches(2)
    await step(unit, "order", doing)
    await step(unit, "request", doing)
    job = await unit.worker.fetchval("select id from bulk_job")
    await step(unit, "cancel", replace(doing, job=job), point)
    await step(unit, "request", doing)
    await settled(unit, doing, new_life)
    assert await ended(unit) == {"ready": 2, "cancelled": 3}
