"""One tenant never sees another: over every route there is, and by raw SQL as the api role."""

import asyncio
import io
import json
import re
import zipfile
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from invoiceos_contracts import decode, encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed
from invoiceos_local.demo.client import an_invoice
from invoiceos_local.demo.receiver import Receiver

# What each write needs beside the id, so that only the id can be at fault.
BODIES = {
    "PATCH /api/v1/customers/{customer_id}": {"name": "x"},
    "PATCH /api/v1/invoices/{invoice_id}": {"reference": "x"},
    "PATCH /api/v1/webhook-endpoints/{endpoint_id}": {"description": "x"},
    "POST /api/v1/invoices/{invoice_id}/void": {"reason": "x"},
    "POST /api/v1/payments/unknown/{attempt_id}/resolve": {
        "outcome": "not_captured",
        "reason": "x",
    },
    "POST /api/v1/wallets/ephemeral/{wallet_id}/extend": {"until": "2030-01-01T00:00:00Z"},
    "POST /api/v1/wallets/ephemeral/{wallet_id}/hold": {"reason": "x"},
    "POST /api/v1/wallets/ephemeral/{wallet_id}/release": {"reason": "x"},
    "POST /api/v1/payments/{payment_id}/refunds/{refund_id}/reject": {"reason": "x"},
    "POST /api/v1/ledger/holds/{hold_id}/capture": {"to": "escrow:x"},
    "POST /api/v1/payouts/{payout_id}/reject": {"reason": "x"},
    "POST /api/v1/payout-batches/{batch_id}/approve": {"lines_hash": "0" * 64},
    "POST /api/v1/payout-batches/{batch_id}/reject": {"lines_hash": "0" * 64, "reason": "x"},
}
LINE = {
    "amount_minor": 100,
    "asset": "PATHUSD",
    "rail": "tempo",
    "destination": {"address": "0x" + "ab" * 20},
}
PUBLIC = re.compile(r"^/api/v1/(payment-links|webhooks/|tenants|providers|reserves|certificates)")
OPERATORS = re.compile(r"^/api/v1/(partners|operations)\b")
EFFECTS = "/api/v1/events/{event_id}/effects"
PAYMENT = {"amount_minor": 5000, "asset": "EUR", "method": "card"}


@pytest.fixture(scope="session")
async def belongings(platform) -> dict[str, str]:
    """Ids of one tenant's things, by the kind of id a path asks for."""
    invoice_id, issued = await platform.issue(an_invoice("Mine", 10_000, watch_window_s=1))
    await platform.transfer(issued, 11_900)
    await platform.feed.until(EphemeralWalletDestroyed, invoice_id)
    async with Receiver() as receiver:
        endpoint = await platform.client.post("/api/v1/webhook-endpoints", {"url": receiver.url})
        await platform.client.post(f"/api/v1/webhook-endpoints/{endpoint['id']}/test")
        deliveries = await platform.client.eventually(
            f"/api/v1/webhook-endpoints/{endpoint['id']}/deliveries", lambda page: page["items"]
        )
    customers = await platform.client.get("/api/v1/customers")
    payments = await platform.client.get(f"/api/v1/payments?invoice_id={encode('inv', invoice_id)}")
    transactions = await platform.transactions(invoice_id)
    key = await platform.client.post("/api/v1/api-keys", {"name": "k", "scopes": ["*"]})
    rules = await platform.client.post(
        "/api/v1/routing/rules", {"rules": {"otherwise": {"order": ["tempo"]}}, "note": "mine"}
    )
    ways = await platform.client.post("/api/v1/payment-rules", {"rules": {}, "note": "mine"})
    assert ways["version"] == rules["version"], "one version is asked for in both"
    decision = await platform.client.post("/api/v1/routing/preview", PAYMENT)
    row = {"reference": "isolated", "amount": {"amount_minor": 100, "asset": "USD"}}
    order = await platform.client.post("/api/v1/wallets/ephemeral/bulk", {"rows": [row]})
    open_id, _ = await platform.issue(an_invoice("Open", 10_000))
    intent = await _collected(platform, encode("inv", open_id))
    (booked,) = await platform.sql(
        "select cause_event_id from reserve_ledger.ledger_transaction where id = $1",
        decode("txn", transactions[0]["id"]),
    )
    payout = await platform.client.post("/api/v1/payouts", {"reference": "mine", **LINE})
    lines = [{"reference": "my line", **LINE}]
    batch = await platform.client.post(
        "/api/v1/payout-batches", {"reference": "my batch", "lines": lines}
    )
    hold = await platform.client.post(
        "/api/v1/ledger/holds",
        {
            "reference": "mine",
            "address": "merchant:available",
            "asset": transactions[0]["postings"][0]["amount"]["asset"],
            "amount_minor": 1,
        },
    )
    return {
        "hold_id": hold["id"],
        "payout_id": payout["id"],
        "batch_id": batch["id"],
        # No route reads a refund by its id; whoever decides on one has the payment too.
        "refund_id": encode("rfd", uuid4()),
        "version": rules["version"],
        "decision_id": decision["id"],
        "intent_id": intent["id"],
        # Only a write asks for one, and none is unknown for a day here.
        "attempt_id": encode("pat", open_id),
        "job_id": order["job_id"],
        "event_id": str(booked["cause_event_id"]),
        "invoice_id": encode("inv", invoice_id),
        "wallet_id": encode("wal", issued.wallet_id),
        "customer_id": customers["items"][0]["id"],
        "payment_id": payments["items"][0]["id"],
        "transaction_id": transactions[0]["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": deliveries["items"][0]["id"],
        "key_id": key["id"],
        "api_key_id": key["id"],
    }


async def _collected(platform, invoice_id: str) -> dict[str, str]:
    """An intent, as soon as the orchestrator has heard of the invoice."""
    async with asyncio.timeout(30):
        while True:
            body = {"invoices": [{"invoice_id": invoice_id}]}
            status, answer, _ = await platform.client.call("POST", "/api/v1/payments", body)
            if status == 201:
                return answer
            assert answer["code"] == "invoice_not_found", answer
            await asyncio.sleep(0.05)


async def routes(platform) -> list[tuple[str, str]]:
    async with platform.client.http.get(platform.client.url + "/openapi.json") as answer:
        document = await answer.json()
    return [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in ("get", "post", "patch", "put", "delete")
    ]


async def _seen_by(client, path: str) -> tuple[int, str]:
    """Status and text: not each resource is JSON, there are streams, files and workbooks."""
    login = {"Authorization": f"Bearer {client.api_key}"}
    async with client.http.get(client.url + path, headers=login) as answer:
        data = await answer.read()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as workbook:
            data = b"".join(workbook.read(name) for name in workbook.namelist())
    return answer.status, data.decode()


async def test_every_route_answers_404_to_another_tenants_ids(platform, rival, belongings):
    tried = []
    for method, path in await routes(platform):
        names = re.findall(r"{(\w+)}", path)
        if not names or PUBLIC.match(path) or names == ["code"] or OPERATORS.match(path):
            continue
        assert all(name in belongings for name in names), f"no id known for {path}: add one above"
        filled = path.format(**belongings)
        status, answer, _ = await rival.call(method, filled, BODIES.get(f"{method} {path}"))
        if path == EFFECTS:  # a list, empty for an event that nobody had any of
            assert (status, answer["items"]) == (200, []), answer
        else:
            assert status == 404, f"{method} {path}: {status} {answer}"
        if method == "GET":
            mine, text = await _seen_by(platform.client, filled)
            assert mine == 200, f"{path}: its owner gets {mine} {text}"
            assert path != EFFECTS or json.loads(text)["items"], "the owner sees what came of it"
        tried.append(path)
    assert len(tried) > 20


async def test_lists_show_a_tenant_its_own_alone(platform, rival, belongings):
    for method, path in await routes(platform):
        if method != "GET" or "{" in path or PUBLIC.match(path) or OPERATORS.match(path):
            continue
        status, text = await _seen_by(rival, path)
        assert status in (200, 422), f"{path}: {status}"
        for name, value in belongings.items():
            if name == "version":
                continue  # every tenant counts its own from 1
            assert value not in text, f"{path} shows a {name} of another tenant"


async def test_operators_routes_are_closed_to_every_tenant(platform):
    closed = [route for route in await routes(platform) if OPERATORS.match(route[1])]
    for method, path in closed:
        filled = re.sub(r"{\w+}", "invoice", path)
        status, answer, _ = await platform.client.call(method, filled, None)
        assert status == 403, f"{method} {path}: {status} {answer}"
    assert len(closed) > 8


async def test_a_filter_by_another_tenants_id_finds_nothing(rival, belongings):
    for path in ("wallets", "payments", "ledger/transactions", "notifications"):
        found = await rival.get(f"/api/v1/{path}?invoice_id={belongings['invoice_id']}")
        assert found["items"] == [], path


async def test_raw_sql_as_the_api_role_shows_nothing_without_a_tenant_and_then_only_its_own(
    platform, tenant, other_tenant, belongings
):
    looked_at = 0
    mine = decode("ten", tenant["tenant_id"])
    theirs = decode("ten", other_tenant["tenant_id"])
    for service in platform.stack.ports:
        schema = service.replace("-", "_")
        connection = await asyncpg.connect(
            platform.stack.env_for(service)["INVOICEOS_DATABASE_API_URL"]
        )
        try:
            for table in await _tenant_tables(platform, schema):
                privileged = await connection.fetchval(
                    "select has_table_privilege($1, 'select')", f"{schema}.{table}"
                )
                if not privileged:
                    continue
                sql = f"select distinct tenant_id from {schema}.{table}"
                assert await connection.fetch(sql) == [], f"{schema}.{table} without a tenant"
                async with connection.transaction():
                    await connection.execute(
                        "select set_config('app.tenants', $1, true)", str(theirs)
                    )
                    seen = {row["tenant_id"] for row in await connection.fetch(sql)}
                assert mine not in seen, f"{schema}.{table} shows another tenant's rows"
                assert await connection.fetch(sql) == [], f"{schema}.{table}: the setting leaked"
                looked_at += 1
        finally:
            await connection.close()
    assert looked_at > 20


async def _tenant_tables(platform, schema):
    rows = await platform.sql(
        """
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
        where n.nspname = $1 and c.relkind in ('r', 'p')
        """,
        schema,
    )
    return [row["relname"] for row in rows]


async def test_every_table_with_a_tenant_is_forced_under_row_level_security(platform):
    rows = await platform.sql(
        """
        select n.nspname || '.' || c.relname as name from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
        where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
        and n.nspname not like 'pg_%'
        """
    )
    assert [row["name"] for row in rows] == []


async def test_no_role_of_a_service_may_bypass_it_or_own_what_it_uses(platform):
    schemas = [service.replace("-", "_") for service in platform.stack.ports]
    roles = [f"{schema}_{kind}" for schema in schemas for kind in ("api", "worker")]
    rows = await platform.sql(
        """
        select rolname from pg_roles where rolname = any($1) and (rolsuper or rolbypassrls)
        union select r.rolname from pg_class c join pg_roles r on r.oid = c.relowner
        where r.rolname = any($1)
        """,
        roles,
    )
    assert [row["rolname"] for row in rows] == []


async def test_a_service_cannot_read_another_services_schema(platform):
    url = urlsplit(platform.stack.env_for("invoice")["INVOICEOS_DATABASE_WORKER_URL"])
    connection = await asyncpg.connect(urlunsplit(url))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select 1 from reserve_ledger.posting")
    finally:
        await connection.close()
