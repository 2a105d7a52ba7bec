"""Bulk orders: what is taken in, asked for, answered, called off, and what the file says."""

import csv
import io
import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.settings import load
from ephemeral_manager.domain.bulk import OPEN, RowState
from invoiceos_contracts import decode
from invoiceos_contracts.bulk_v1 import BulkRowRefused, BulkRowRequested
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoiceIssueFailed, InvoiceStatus
from testkit.service import ServiceUnderTest, record_of

BULK = "/api/v1/wallets/ephemeral/bulk"
ALL = ("wallets:read", "invoices:write")
Life = Any


def rows(*references: str, minor: int = 1250) -> list[dict[str, Any]]:
    return [
        {"reference": name, "amount": {"amount_minor": minor, "asset": "USD"}}
        for name in references
    ]


async def order(client: Any, tenant: UUID, *references: str, **more: Any) -> dict[str, Any]:
    answer = await client.ask("POST", BULK, tenant, *ALL, json={"rows": rows(*references, **more)})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def job(client: Any, tenant: UUID, ordered: dict[str, Any], tail: str = "") -> Any:
    return await client.ask("GET", f"{BULK}/{ordered['job_id']}{tail}", tenant)


def issued(new_life: type[Life], asked: BulkRowRequested) -> InvoiceIssued:
    found: InvoiceIssued = new_life(tenant_id=asked.tenant_id, invoice_id=asked.invoice_id).issued()
    return found


def issue_failed(new_life: type[Life], asked: BulkRowRequested) -> InvoiceIssueFailed:
    standing = issued(new_life, asked).model_dump(include=set(InvoiceIssueFailed.model_fields))
    standing["status"] = InvoiceStatus(
        document="issue_failed", settlement="unpaid", timeliness="on_time"
    )
    return InvoiceIssueFailed(**standing, reason="unhealthy", tried=("tempo: unhealthy",))


def refused(asked: BulkRowRequested) -> BulkRowRefused:
    return BulkRowRefused(
        tenant_id=asked.tenant_id,
        invoice_id=asked.invoice_id,
        job_id=asked.job_id,
        code="customer_not_found",
        detail="There is no such customer",
    )


async def requested(unit: ServiceUnderTest) -> list[BulkRowRequested]:
    await unit.after(timedelta(seconds=1))
    return await unit.facts(BulkRowRequested)


async def test_an_order_is_answered_at_once_and_ends_when_each_row_has_its_wallet(
    unit: ServiceUnderTest, client: Any, new_life: type[Life]
) -> None:
    tenant = uuid4()
    ordered = await order(client, tenant, "a", "b", "c")
    assert (ordered["state"], ordered["counts"]["waiting"]) == ("running", 3)
    asked = await requested(unit)
    assert [fact.reference for fact in asked] == ["a", "b", "c"]
    assert {(fact.bulk_size, fact.amount.amount_minor) for fact in asked} == {(3, 1250)}
    for fact in asked:
        news = record_of(issued(new_life, fact))
        await unit.receives(news, news, issued(new_life, fact))
    done = (await job(client, tenant, ordered)).json()
    assert (done["state"], done["finished"], done["counts"]["ready"]) == ("done", 3, 3)
    lines = (await job(client, tenant, ordered, "/results")).text.splitlines()
    first = json.loads(lines[0])
    assert (first["reference"], first["state"], first["rail"]) == ("a", "ready", "tempo")
    assert first["accepted_assets"] == ["PATHUSD"]
    assert decode("inv", first["invoice_id"]) == asked[0].invoice_id
    table = list(
        csv.DictReader(
            io.StringIO((await job(client, tenant, ordered, "/results?format=csv")).text)
        )
    )
    assert [line["address"] for line in table] == [json.loads(x)["address"] for x in lines]


async def test_the_same_row_again_is_the_same_invoice_and_another_one_a_conflict(
    unit: ServiceUnderTest, client: Any, new_life: type[Life]
) -> None:
    tenant = uuid4()
    await order(client, tenant, "a", "b")
    again = await order(client, tenant, "a", "c")
    other = await order(client, tenant, "b", minor=99)
    assert (again["counts"]["repeated"], again["counts"]["waiting"]) == (1, 1)
    assert (other["state"], other["counts"]["conflicting"]) == ("done", 1)
    asked = await requested(unit)
    assert sorted(fact.reference for fact in asked) == ["a", "b", "c"]
    await unit.receives(*[issued(new_life, fact) for fact in asked])
    first = json.loads((await job(client, tenant, again, "/results")).text.splitlines()[0])
    assert (first["state"], first["number"]) == ("repeated", "INV-1")
    assert decode("inv", first["invoice_id"]) in {fact.invoice_id for fact in asked}
    conflict = json.loads((await job(client, tenant, other, "/results")).text)
    assert (conflict["code"], conflict["invoice_id"]) == ("reference_reused", None)
    elsewhere = await order(client, uuid4(), "a")
    assert elsewhere["counts"]["waiting"] == 1, "a reference is its tenant's own"


async def test_what_failed_becomes_ready_when_it_is_issued_and_what_was_refused_is_free_again(
    unit: ServiceUnderTest, client: Any, new_life: type[Life]
) -> None:
    tenant = uuid4()
    ordered = await order(client, tenant, "a", "b")
    a, b = await requested(unit)
    await unit.receives(issue_failed(new_life, a), refused(b), refused(b))
    counts = (await job(client, tenant, ordered)).json()["counts"]
    assert (counts["failed"], counts["refused"]) == (1, 1)
    await unit.receives(issued(new_life, a), issued(new_life, b))
    counts = (await job(client, tenant, ordered)).json()["counts"]
    assert (counts["ready"], counts["refused"]) == (1, 1)
    again = await order(client, tenant, "a", "b")
    assert (again["counts"]["repeated"], again["counts"]["waiting"]) == (1, 1)


async def test_cancelling_calls_off_what_was_not_begun(
    unit: ServiceUnderTest,
    client: Any,
    new_life: type[Life],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INVOICEOS_BULK_BATCH", "2")
    load.cache_clear()
    tenant = uuid4()
    ordered = await order(client, tenant, *"abcde")
    await unit.worker.pool.execute("update timer set due_at = now() - interval '1 s'")
    assert await unit.timers.fire_due() == 1
    path = f"{BULK}/{ordered['job_id']}/cancel"
    cancelled = (await client.ask("POST", path, tenant, *ALL)).json()
    assert (cancelled["state"], cancelled["counts"]["cancelled"]) == ("cancelling", 3)
    assert (await client.ask("POST", path, uuid4(), *ALL)).status_code == 404
    asked = await requested(unit)
    assert len(asked) == 2
    await unit.receives(*[issued(new_life, fact) for fact in asked])
    again = (await client.ask("POST", path, tenant, *ALL)).json()
    assert (again["state"], again["counts"]["ready"]) == ("cancelled", 2)
    free = await order(client, tenant, "e")
    assert free["counts"]["waiting"] == 1


async def test_doubled_and_shuffled_news_leave_each_row_with_its_one_end(
    unit: ServiceUnderTest, client: Any, new_life: type[Life]
) -> None:
    tenant, chance = uuid4(), random.Random(29)
    ordered = await order(client, tenant, *(f"r{n}" for n in range(60)))
    asked = await requested(unit)
    news = [
        record_of(chance.choice((issued, issue_failed))(new_life, fact))
        if chance.random() < 0.8
        else record_of(refused(fact))
        for fact in asked
    ] * 2
    chance.shuffle(news)
    for start in range(0, len(news), 13):
        await unit.receives(*news[start : start + 13])
    shown = (await job(client, tenant, ordered)).json()
    stored = await unit.worker.fetch("select state, count(*) as n from bulk_row group by state")
    assert Counter({row["state"]: row["n"] for row in stored}) == +Counter(shown["counts"])
    assert shown["state"] == "done"
    assert sum(shown["counts"][state] for state in OPEN) == 0


async def test_a_tenant_has_no_more_rows_under_way_than_its_limit(
    unit: ServiceUnderTest, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOICEOS_BULK_OPEN_ROWS_MAX", "3")
    load.cache_clear()
    tenant = uuid4()
    await order(client, tenant, "a", "b")
    answer = await client.ask("POST", BULK, tenant, *ALL, json={"rows": rows("c", "d")})
    assert (answer.status_code, answer.json()["code"]) == (429, "bulk_quota_exceeded")
    assert answer.json()["data"] == {"limit": 3, "open": 2}
    await order(client, tenant, "c")


@pytest.mark.parametrize(
    "body",
    [
        {"rows": []},
        {"rows": rows("a", "a")},
        {"rows": rows("=1+1")},
        {"rows": rows("a", minor=0)},
        {"rows": [{"reference": "a", "amount": {"amount_minor": 5, "asset": "XXQ"}}]},
        {"rows": [{**rows("a")[0], "ttl_s": 1}]},
        {"rows": [{**rows("a")[0], "color": "red"}]},
        {"rows": rows("a") * 10_001},
    ],
)
async def test_one_wrong_row_refuses_the_whole_order(
    unit: ServiceUnderTest, client: Any, body: dict[str, Any]
) -> None:
    assert (await client.ask("POST", BULK, uuid4(), *ALL, json=body)).status_code == 422
    assert await unit.worker.fetchval("select count(*) from bulk_job") == 0


async def test_ten_thousand_rows_are_one_order(unit: ServiceUnderTest, client: Any) -> None:
    ordered = await order(client, uuid4(), *(f"row-{n}" for n in range(10_000)))
    assert ordered["total"] == 10_000
    await unit.worker.pool.execute("update timer set due_at = now() - interval '1 s'")
    await unit.timers.fire_due()
    states = await unit.worker.fetch("select state, count(*) as n from bulk_row group by state")
    assert {row["state"]: row["n"] for row in states} == {
        RowState.REQUESTED: 500,
        RowState.WAITING: 9_500,
    }


async def test_progress_comes_as_events_until_the_order_is_over(
    unit: ServiceUnderTest, client: Any
) -> None:
    tenant = uuid4()
    ordered = await order(client, tenant, "a")
    await client.ask("POST", f"{BULK}/{ordered['job_id']}/cancel", tenant, *ALL)
    answer = await job(client, tenant, ordered, "/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    name, data = answer.text.splitlines()[1:3]
    assert name == "event: over"
    assert json.loads(data.removeprefix("data: "))["state"] == "cancelled"
    assert (await job(client, uuid4(), ordered, "/events")).status_code == 404


async def test_an_order_takes_the_right_to_write_invoices(client: Any) -> None:
    answer = await client.ask(
        "POST", BULK, uuid4(), "wallets:read", "wallets:write", json={"rows": rows("a")}
    )
    assert answer.status_code == 403
