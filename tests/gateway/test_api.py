"""Tenants and keys, as their owners see them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from invoiceos_contracts import decode

OPERATOR = "operator-" + "x" * 40


async def test_the_operator_creates_a_tenant_and_its_first_key(gateway: Any) -> None:
    made = await gateway.tenant("Grün & Söhne")
    assert made["name"] == "Grün & Söhne"
    assert made["tenant_id"].startswith("ten_")
    assert made["api_key_id"].startswith("key_")
    assert made["api_key"].startswith(made["api_key_prefix"] + "_")
    assert len(made["api_key"]) == 14 + 1 + 43
    facts = [f for f in await gateway.facts() if f[1]["tenant_id"] == made["tenant_id"]]
    assert [kind for kind, _ in facts] == [
        "invoiceos.tenant.created.v1",
        "invoiceos.api_key.created.v1",
    ]
    assert facts[1][1]["scopes"] == ["*"]
    assert made["api_key"] not in str(facts)
    seen = await gateway.ask("GET", "/api/v1/tenants/current", made["api_key"])
    assert seen.status == 200
    assert seen.json["tenant_id"] == made["tenant_id"]
    assert seen.json["state"] == "active"


async def test_no_secret_is_readable_in_the_database(gateway: Any) -> None:
    made = await gateway.ask(
        "POST",
        "/api/v1/tenants",
        OPERATOR,
        json={"name": "Quiet"},
        headers={"Idempotency-Key": "quiet-1"},
    )
    secret = made.json["api_key"][15:]
    connection = await asyncpg.connect(gateway.place.admin_url)
    try:
        tables = await connection.fetch(
            "select table_name from information_schema.tables where table_schema = 'gateway'"
        )
        for (table,) in tables:
            rows = await connection.fetch(f'select t::text from gateway."{table}" t')
            for (text,) in rows:
                assert secret not in text, table
                assert secret.encode().hex() not in text, table
        kept = await connection.fetchval(
            "select body from gateway.idempotency where key = 'quiet-1'"
        )
        assert made.json["tenant_id"].encode() in kept
    finally:
        await connection.close()


async def test_fifty_at_once_with_one_idempotency_key_create_one_tenant(gateway: Any) -> None:
    async def create() -> Any:
        return await gateway.ask(
            "POST",
            "/api/v1/tenants",
            OPERATOR,
            json={"name": "Once"},
            headers={"Idempotency-Key": "once"},
        )

    replies = await asyncio.gather(*(create() for _ in range(50)))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    later = await create()
    assert later.body == replies[0].body
    assert later.headers["Idempotency-Replayed"] == "true"
    assert (
        await gateway.runtime.worker.fetchval("select count(*) from tenant where name = 'Once'")
        == 1
    )
    key = later.json["api_key"]
    assert (await gateway.ask("GET", "/api/v1/tenants/current", key)).status == 200
    other = await gateway.ask(
        "POST",
        "/api/v1/tenants",
        OPERATOR,
        json={"name": "Twice"},
        headers={"Idempotency-Key": "once"},
    )
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_tenants_are_for_the_operator_alone(gateway: Any, key: str) -> None:
    refused = await gateway.ask("POST", "/api/v1/tenants", key, json={"name": "Mine"})
    assert (refused.status, refused.code) == (403, "operator_only")
    for wrong in ("", "operator", OPERATOR[:-1], OPERATOR + "x", OPERATOR.upper()):
        asked = await gateway.ask("POST", "/api/v1/tenants", wrong, json={"name": "Mine"})
        assert (asked.status, asked.code) == (401, "unauthenticated")
    nobody = await gateway.ask("POST", "/api/v1/tenants", json={"name": "Mine"})
    assert nobody.status == 401
    assert nobody.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_operator_is_no_tenant(gateway: Any) -> None:
    assert (
        await gateway.ask("GET", "/api/v1/tenants/current", OPERATOR)
    ).code == "tenant_not_found"
    assert (await gateway.ask("GET", "/api/v1/api-keys", OPERATOR)).code == "scope_missing"
    body = {"name": "k", "scopes": ["*"]}
    assert (await gateway.ask("POST", "/api/v1/api-keys", OPERATOR, json=body)).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": 1},
        {"name": "a\u0000b"},
        {"name": "a\u202eb"},
        {"name": "x", "tenant_id": "ten_00000000000000000000000000"},
        {"name": "x", "state": "suspended"},
        [],
        "x",
    ],
)
async def test_a_tenant_that_cannot_be_is_refused(gateway: Any, body: Any) -> None:
    refused = await gateway.ask("POST", "/api/v1/tenants", OPERATOR, json=body)
    assert refused.status in (400, 422)
    assert refused.code


async def test_a_key_grants_no_more_than_its_maker_has(gateway: Any, key: str) -> None:
    narrow = await gateway.key(key, "keys:write", "keys:read", "invoices:read")
    assert narrow["scopes"] == ["invoices:read", "keys:read", "keys:write"]
    assert narrow["created_by"].startswith("key_")
    for scopes in (["*"], ["invoices:write"], ["invoices:read", "payments:read"]):
        refused = await gateway.ask(
            "POST", "/api/v1/api-keys", narrow["api_key"], json={"name": "n", "scopes": scopes}
        )
        assert (refused.status, refused.code) == (403, "scope_not_held")
    granted = await gateway.key(narrow["api_key"], "invoices:read")
    refused = await gateway.ask("GET", "/api/v1/api-keys", granted["api_key"])
    assert (refused.status, refused.code) == (403, "scope_missing")


@pytest.mark.parametrize("scope", ["operator", "invoices:delete", "", "INVOICES:read", "**", "* "])
async def test_scopes_that_are_none_are_refused(gateway: Any, key: str, scope: str) -> None:
    body = {"name": "n", "scopes": [scope]}
    refused = await gateway.ask("POST", "/api/v1/api-keys", key, json=body)
    assert (refused.status, refused.code) == (422, "unknown_scope")


async def test_an_expired_key_is_refused(gateway: Any, key: str) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    body = {"name": "n", "scopes": ["*"], "expires_at": past}
    refused = await gateway.ask("POST", "/api/v1/api-keys", key, json=body)
    assert (refused.status, refused.code) == (422, "expiry_in_past")
    soon = await gateway.key(
        key, "*", expires_at=(datetime.now(UTC) + timedelta(seconds=0.6)).isoformat()
    )
    assert (await gateway.ask("GET", "/api/v1/invoices", soon["api_key"])).status == 200
    deadline = asyncio.get_running_loop().time() + 10
    while (late := await gateway.ask("GET", "/api/v1/invoices", soon["api_key"])).status == 200:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert late.status == 401
    assert "expired" in late.json["detail"]


async def test_a_revoked_key_stops_at_once(gateway: Any, key: str) -> None:
    other = await gateway.key(key, "*")
    assert (await gateway.ask("GET", "/api/v1/invoices", other["api_key"])).status == 200
    gone = await gateway.ask("DELETE", f"/api/v1/api-keys/{other['id']}", key)
    assert gone.status == 200
    assert gone.json["revoked_at"]
    refused = await gateway.ask("GET", "/api/v1/invoices", other["api_key"])
    assert refused.status == 401
    assert "revoked" in refused.json["detail"]
    again = await gateway.ask("DELETE", f"/api/v1/api-keys/{other['id']}", key)
    assert again.json == gone.json
    revoked = [
        fact
        for kind, fact in await gateway.facts()
        if kind == "invoiceos.api_key.revoked.v1" and fact["api_key_id"] == other["id"]
    ]
    assert len(revoked) == 1


async def test_a_key_of_another_tenant_cannot_be_told_from_one_that_is_not(
    gateway: Any, key: str
) -> None:
    other = await gateway.tenant("Other")
    foreign = await gateway.ask("DELETE", f"/api/v1/api-keys/{other['api_key_id']}", key)
    unknown = await gateway.ask("DELETE", "/api/v1/api-keys/key_0000000000000000000000000z", key)
    assert foreign.status == unknown.status == 404
    assert foreign.body == unknown.body
    assert (await gateway.ask("GET", "/api/v1/invoices", other["api_key"])).status == 200
    malformed = await gateway.ask("DELETE", "/api/v1/api-keys/nonsense", key)
    assert malformed.status == 422


async def test_keys_are_listed_in_pages_without_secrets(gateway: Any, key: str) -> None:
    for _ in range(3):
        await gateway.key(key, "invoices:read")
    first = await gateway.ask("GET", "/api/v1/api-keys?limit=2", key)
    second = await gateway.ask(
        "GET", f"/api/v1/api-keys?limit=2&cursor={first.json['next_cursor']}", key
    )
    items = first.json["items"] + second.json["items"]
    assert len({item["id"] for item in items}) == 4
    assert second.json["next_cursor"] is None
    assert items == sorted(items, key=lambda item: item["id"], reverse=True)
    assert all("api_key" not in item and "secret" not in str(item) for item in items)


async def test_the_same_revocations_in_one_batch_state_one_fact(gateway: Any, key: str) -> None:
    other = await gateway.key(key, "*")
    replies = await asyncio.gather(
        *(gateway.ask("DELETE", f"/api/v1/api-keys/{other['id']}", key) for _ in range(20))
    )
    assert {reply.body for reply in replies} == {replies[0].body}
    stated = [
        f for k, f in await gateway.facts() if "revoked" in k and f["api_key_id"] == other["id"]
    ]
    assert len(stated) == 1


async def test_use_of_a_key_is_written_down(gateway: Any, acme: dict[str, Any]) -> None:
    from gateway.workers import write_usage

    await gateway.ask("GET", "/api/v1/invoices", acme["api_key"])
    assert await write_usage(gateway.runtime) >= 1
    listed = await gateway.ask("GET", "/api/v1/api-keys", acme["api_key"])
    assert listed.json["items"][0]["last_used_at"] is not None


async def test_a_suspended_tenant_is_kept_out(gateway: Any) -> None:
    made = await gateway.tenant("Bad")
    await gateway.runtime.worker.pool.execute(
        "update tenant set state = 'suspended' where tenant_id = $1",
        decode("ten", made["tenant_id"]),
    )
    refused = await gateway.ask("GET", "/api/v1/invoices", made["api_key"])
    assert (refused.status, refused.code) == (403, "tenant_suspended")


async def test_partners_are_registered_shown_and_revoked_by_the_operator_alone(
    gateway: Any, key: str
) -> None:
    tenant = (await gateway.tenant())["tenant_id"]
    body = {"name": f"p{tenant[-12:]}", "tenant_id": tenant}
    path = f"/api/v1/partners/{body['name']}"
    for method, where in (("POST", "/api/v1/partners"), ("GET", "/api/v1/partners")):
        refused = await gateway.ask(method, where, key, json=body)
        assert (refused.status, refused.code) == (403, "operator_only")
    for method, where in (("GET", path), ("POST", f"{path}/revoke")):
        assert (await gateway.ask(method, where, key)).code == "operator_only"
    assert (await gateway.ask("GET", path, OPERATOR)).code == "partner_not_found"
    assert (await gateway.ask("POST", f"{path}/revoke", OPERATOR)).code == "partner_not_found"

    made = await gateway.ask("POST", "/api/v1/partners", OPERATOR, json=body)
    assert made.status == 201
    again = await gateway.ask("POST", "/api/v1/partners", OPERATOR, json=body)
    assert again.json == made.json == (await gateway.ask("GET", path, OPERATOR)).json
    assert made.json["principal"] == f"partner-{body['name']}"
    assert made.json["state"] == "active"
    assert f"partner.{body['name']}.requests.v1" in made.json["topics"]

    other = {**body, "tenant_id": (await gateway.tenant())["tenant_id"]}
    taken = await gateway.ask("POST", "/api/v1/partners", OPERATOR, json=other)
    assert (taken.status, taken.code) == (409, "partner_name_taken")

    revoked = await gateway.ask("POST", f"{path}/revoke", OPERATOR)
    assert (revoked.status, revoked.json["state"]) == (200, "revoked")
    listed = (await gateway.ask("GET", "/api/v1/partners", OPERATOR)).json["items"]
    assert [item for item in listed if item["name"] == body["name"]] == [revoked.json]
    facts = [kind for kind, fact in await gateway.facts() if fact.get("partner") == body["name"]]
    assert facts == ["invoiceos.partner.registered.v1", "invoiceos.partner.revoked.v1"]


@pytest.mark.parametrize("name", ["a", "Acme", "a.b", "a_b", "x" * 41, "", "a b", "é" * 3])
async def test_a_partners_name_is_plain(gateway: Any, name: str) -> None:
    tenant = (await gateway.tenant())["tenant_id"]
    body = {"name": name, "tenant_id": tenant}
    refused = await gateway.ask("POST", "/api/v1/partners", OPERATOR, json=body)
    assert (refused.status, refused.code) == (422, "invalid_request")
