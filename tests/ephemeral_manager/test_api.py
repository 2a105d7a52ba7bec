"""What the manager answers over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from invoiceos_contracts import encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletExpired, EphemeralWalletExtended
from testkit.service import ServiceUnderTest

WALLETS = "/api/v1/wallets/ephemeral"
CERTIFICATES = "/api/v1/certificates"


def path(life: Any, tail: str = "") -> str:
    return f"{WALLETS}/{encode('wal', life.wallet_id)}{tail}"


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def destroyed(unit: ServiceUnderTest, *lives: Any) -> None:
    for life in lives:
        await unit.receives(life.issued(), life.voided())
    await unit.worker.pool.execute("update timer set due_at = now() where kind = 'wallet.watch'")
    await unit.timers.fire_due()
    for life in lives:
        await unit.receives(life.secrets_destroyed(), life.balance())


async def test_wallets_are_listed_by_state_in_pages(
    unit: ServiceUnderTest, client: Any, new_life: Any
) -> None:
    tenant = uuid4()
    lives = [new_life(tenant_id=tenant) for _ in range(3)]
    await unit.receives(*[life.issued() for life in lives], new_life().issued())
    await unit.receives(lives[0].voided())
    first = (await client.ask("GET", WALLETS, tenant, params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    rest = (await client.ask("GET", WALLETS, tenant, params=query)).json()
    shown = [item["wallet_id"] for item in first["items"] + rest["items"]]
    assert shown == [encode("wal", life.wallet_id) for life in reversed(lives)]
    only = (await client.ask("GET", WALLETS, tenant, params={"state": "watching"})).json()
    assert [item["wallet_id"] for item in only["items"]] == [shown[-1]]
    assert only["items"][0]["reason"] == "invoice_voided"


async def test_a_wallet_shows_the_money_that_came_late(
    unit: ServiceUnderTest, client: Any, life: Any
) -> None:
    payment = uuid4()
    await unit.receives(life.issued(), life.voided())
    await unit.receives(life.seen(payment, 5))
    answer = await client.ask("GET", path(life), life.tenant_id)
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    (late,) = answer.json()["late_funds"]
    assert late["amount"] == {"amount_minor": 5, "asset": "PATHUSD"}
    assert (late["state"], late["late"]) == ("seen", "detected")


async def test_an_extended_wallet_expires_at_its_new_end(
    unit: ServiceUnderTest, client: Any, life: Any
) -> None:
    await unit.receives(life.issued())
    answer = await client.ask(
        "POST", path(life, "/extend"), life.tenant_id, json={"until": in_hours(5)}
    )
    assert answer.status_code == 200
    (extended,) = await unit.facts(EphemeralWalletExtended)
    assert extended.by == "test"
    assert datetime.fromisoformat(answer.json()["expires_at"]) == extended.until
    await unit.after(timedelta(hours=2))
    assert await unit.facts(EphemeralWalletExpired) == []
    await unit.after(timedelta(hours=6))
    (expired,) = await unit.facts(EphemeralWalletExpired)
    assert expired.since == extended.until


@pytest.mark.parametrize(
    ("until", "status", "code"),
    [
        (in_hours(0.5), 422, "extension_not_later"),
        (in_hours(-5), 422, "extension_not_later"),
        (in_hours(24 * 91), 422, "extension_too_long"),
        ("9999-12-31T23:59:59-14:00", 422, "invalid_request"),
        ("0001-01-01T00:00:00+14:00", 422, "invalid_request"),
        ("2026-11-20T12:00:00", 422, "invalid_request"),
        (1_900_000_000, 422, "invalid_request"),
        (True, 422, "invalid_request"),
        (None, 422, "invalid_request"),
    ],
    ids=[f"case {number}" for number in range(9)],
)
async def test_an_impossible_extension_is_refused_and_the_old_end_stays(
    unit: ServiceUnderTest, client: Any, life: Any, until: Any, status: int, code: str
) -> None:
    await unit.receives(life.issued())
    answer = await client.ask("POST", path(life, "/extend"), life.tenant_id, json={"until": until})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    await unit.after(timedelta(hours=2))
    assert len(await unit.facts(EphemeralWalletExpired)) == 1


async def test_a_closed_wallet_cannot_be_extended(
    unit: ServiceUnderTest, client: Any, life: Any
) -> None:
    await unit.receives(life.issued(), life.voided())
    answer = await client.ask(
        "POST", path(life, "/extend"), life.tenant_id, json={"until": in_hours(5)}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_wallet_transition")


async def test_a_write_on_an_old_version_is_refused_and_a_replay_is_answered_again(
    unit: ServiceUnderTest, client: Any, life: Any
) -> None:
    await unit.receives(life.issued())
    body = {"until": in_hours(5)}
    key = {"If-Match": '"1"', "Idempotency-Key": "k1"}
    url = path(life, "/extend")
    first = await client.ask("POST", url, life.tenant_id, json=body, headers=key)
    again = await client.ask("POST", url, life.tenant_id, json=body, headers=key)
    assert first.headers["etag"] == '"2"'
    assert again.content == first.content
    assert len(await unit.facts(EphemeralWalletExtended)) == 1
    stale = await client.ask("POST", url, life.tenant_id, json=body, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")


async def test_a_hold_is_shown_and_released(unit: ServiceUnderTest, client: Any, life: Any) -> None:
    await unit.receives(life.issued())
    held = await client.ask(
        "POST", path(life, "/hold"), life.tenant_id, json={"reason": "court order"}
    )
    assert (held.json()["legal_hold"], held.json()["legal_hold_reason"]) == (True, "court order")
    released = await client.ask("POST", path(life, "/release"), life.tenant_id)
    assert released.json()["legal_hold"] is False


async def test_what_is_being_destroyed_can_no_longer_be_held(
    unit: ServiceUnderTest, client: Any, life: Any
) -> None:
    await destroyed(unit, life)
    answer = await client.ask("POST", path(life, "/hold"), life.tenant_id, json={"reason": "x"})
    assert answer.status_code == 409


async def test_a_foreign_wallet_and_an_unknown_one_look_the_same(
    unit: ServiceUnderTest, client: Any, new_life: Any
) -> None:
    life, unknown = new_life(), new_life()
    await destroyed(unit, life)
    asks = [
        ("GET", "", None),
        ("GET", "/certificate", None),
        ("POST", "/extend", {"until": in_hours(5)}),
        ("POST", "/hold", {"reason": "x"}),
        ("POST", "/release", None),
    ]
    for method, tail, body in asks:
        foreign = await client.ask(method, path(life, tail), uuid4(), json=body)
        absent = await client.ask(method, path(unknown, tail), uuid4(), json=body)
        assert foreign.status_code == absent.status_code == 404, tail
        assert foreign.json() == absent.json()


async def test_a_certificate_can_be_fetched_listed_and_verified(
    unit: ServiceUnderTest, client: Any, new_life: Any
) -> None:
    tenant = uuid4()
    lives = [new_life(tenant_id=tenant) for _ in range(3)]
    await destroyed(unit, *lives)
    fetched = (await client.ask("GET", path(lives[1], "/certificate"), tenant)).json()
    first = (await client.ask("GET", CERTIFICATES, tenant, params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    rest = (await client.ask("GET", CERTIFICATES, tenant, params=query)).json()
    listed = first["items"] + rest["items"]
    assert [item["body"]["certificate_number"] for item in listed] == [3, 2, 1]
    assert fetched in listed
    key = (await client.ask("GET", f"{CERTIFICATES}/public-key", tenant)).json()
    assert key["public_key"] == fetched["public_key"]
    for item in listed:
        answer = await client.ask("POST", f"{CERTIFICATES}/verify", tenant, json=item)
        assert answer.json()["valid"] is True, answer.json()
    foreign = await client.ask("POST", f"{CERTIFICATES}/verify", uuid4(), json=fetched)
    failed = [item["check"] for item in foreign.json()["checks"] if not item["passed"]]
    assert failed == [
        "the certificate stands in your chain as it was given",
        "it names the hash of the certificate before it",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "zz"},
        {"signature": "AAAA"},
        {"public_key": "A"},
        {"public_key": "é"},
        {"key_id": "0" * 16},
        {"body": {"certificate_number": 10**40}},
        {"body": {"reason": "manual"}},
        {"body": {"balances": [{"amount_minor": 1, "asset": "PATHUSD"}]}},
    ],
)
async def test_a_tampered_certificate_is_not_valid(
    unit: ServiceUnderTest, client: Any, life: Any, change: dict[str, Any]
) -> None:
    await destroyed(unit, life)
    given = (await client.ask("GET", path(life, "/certificate"), life.tenant_id)).json()
    given |= {k: v for k, v in change.items() if k != "body"}
    given["body"] |= change.get("body", {})
    answer = await client.ask("POST", f"{CERTIFICATES}/verify", life.tenant_id, json=given)
    assert (answer.status_code, answer.json()["valid"]) == (200, False)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", f"{WALLETS}/nonsense", None),
        ("GET", f"{WALLETS}?state=gone", None),
        ("GET", f"{WALLETS}?cursor=x", None),
        ("GET", f"{CERTIFICATES}?limit=0", None),
        ("POST", f"{WALLETS}/{encode('wal', UUID(int=7))}/hold", {"reason": ""}),
        ("POST", f"{WALLETS}/{encode('wal', UUID(int=7))}/hold", {"reason": "a", "tenant_id": "b"}),
        ("POST", f"{CERTIFICATES}/verify", {}),
    ],
)
async def test_bad_input_is_refused_with_a_code(
    client: Any, method: str, url: str, body: Any
) -> None:
    answer = await client.ask(method, url, uuid4(), json=body)
    assert answer.status_code == 422
    assert answer.json()["code"]


async def test_a_cursor_beyond_every_number_shows_the_first_page(client: Any) -> None:
    far = "cur_" + "7" + "z" * 25
    answer = await client.ask("GET", CERTIFICATES, uuid4(), params={"cursor": far})
    assert answer.json() == {"items": [], "next_cursor": None}


async def test_scopes_are_needed(client: Any, life: Any) -> None:
    for method, url in (
        ("GET", WALLETS),
        ("GET", CERTIFICATES),
        ("POST", path(life, "/hold")),
        ("POST", path(life, "/release")),
    ):
        answer = await client.ask(method, url, uuid4(), "invoices:read", json={"reason": "x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
