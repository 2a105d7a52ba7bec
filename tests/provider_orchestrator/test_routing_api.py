"""Routing over HTTP: rules are written, tried on payments, activated; each choice can be read."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from orchestrator_kit import settings_for
from test_api import MINT, PUBLIC

from chassis.application import build
from chassis.auth import Caller, TokenReader
from invoiceos_contracts import PLATFORM
from messaging import Writer
from provider_orchestrator.app import service
from provider_orchestrator.commands.observe_health import observe_health
from provider_orchestrator.commands.route_payments import RouteRequest, route_payments
from provider_orchestrator.domain.health import Key, Observation
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Capabilities,
    Inputs,
    Operation,
    Routable,
    choose,
)
from provider_orchestrator.providers.catalogue import catalogue, declared
from provider_orchestrator.store.routing import delete_previews, rules_of
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

RULES = "/api/v1/routing/rules"
REPLAY = "/api/v1/routing/replay"
SCOPES = frozenset({"routing:read", "routing:write", "providers:read"})
PAYMENT = {"amount_minor": 5_000_000, "asset": "EUR", "method": "card"}
"""Too large to explore with."""


def can(provider: str, fee_ppm: int) -> Capabilities:
    return Capabilities(
        provider=provider,
        rail="card",
        assets=frozenset({"EUR"}),
        operations=frozenset(Operation),
        methods=frozenset({"card"}),
        fee_ppm=fee_ppm,
    )


CATALOGUE = (can("cheap", 1000), can("dear", 29_000))


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, place) as started:
        yield started


@pytest.fixture
async def app(unit: ServiceUnderTest) -> AsyncIterator[Any]:
    app = build(service, settings_for("http://127.0.0.1:1"))
    app.state.writer = Writer(unit.api)
    app.state.api_database = unit.api
    app.state.token_reader = TokenReader(PUBLIC)
    app.dependency_overrides[catalogue] = lambda: CATALOGUE
    writing = asyncio.create_task(app.state.writer.run())
    yield app
    writing.cancel()


@pytest.fixture
async def http(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Of a tenant."""
    async with a_client(app, uuid4()) as client:
        yield client


def a_client(
    app: Any, tenant: UUID, scopes: frozenset[str] = SCOPES, actor: str = "anna"
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://test",
        headers={"Authorization": f"Bearer {MINT.mint(Caller(tenant, actor, scopes))}"},
    )


async def saved(http: httpx.AsyncClient, **rules: Any) -> int:
    answer = await http.post(RULES, json={"rules": rules, "note": "a test"})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["version"])


async def previewed(http: httpx.AsyncClient, **payment: Any) -> dict[str, Any]:
    answer = await http.post("/api/v1/routing/preview", json=PAYMENT | payment)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_rules_are_versions_that_change_nothing_before_they_are_activated(
    http: httpx.AsyncClient,
) -> None:
    standard = (await http.get(f"{RULES}/active")).json()
    assert (standard["version"], standard["rules"]["otherwise"]["order"]) == (None, ["tempo"])
    assert [await saved(http, otherwise={"exclude": ["cheap"]}) for _ in range(2)] == [1, 2]
    assert (await previewed(http))["chosen"] == "cheap/card"
    activated = await http.post(f"{RULES}/2/activate")
    assert activated.json() == {"version": 2, "previous": None}
    assert (await previewed(http))["chosen"] == "dear/card"
    assert (await http.post(f"{RULES}/1/activate")).json() == {"version": 1, "previous": 2}
    assert (await http.post(f"{RULES}/1/activate")).json() == {"version": 1, "previous": 1}
    (newest, oldest) = (await http.get(RULES)).json()["items"]
    assert [newest["active"], oldest["active"]] == [False, True]
    assert (oldest["note"], oldest["created_by"], oldest["activated_by"]) == (
        "a test",
        "anna",
        "anna",
    )
    assert (await http.get(f"{RULES}/1")).json() == oldest
    assert (await http.get(f"{RULES}/active")).json() == oldest
    page = (await http.get(RULES, params={"limit": "1"})).json()
    assert page["items"] == [newest]
    rest = await http.get(RULES, params={"limit": "1", "cursor": page["next_cursor"]})
    assert rest.json() == {"items": [oldest], "next_cursor": None}


async def test_writers_at_one_moment_get_numbers_without_a_gap(http: httpx.AsyncClient) -> None:
    made = await asyncio.gather(*(saved(http) for _ in range(20)))
    assert sorted(made) == list(range(1, 21))


async def test_a_document_that_makes_no_sense_is_refused_with_the_reason(
    http: httpx.AsyncClient,
) -> None:
    wrong = {"rules": {"otherwise": {"split": [{"to": "cheap", "percent": 60}]}}}
    answer = await http.post(RULES, json=wrong)
    assert answer.status_code == 422
    assert "60 percent together; they must be 100" in answer.text
    assert (await http.get(RULES)).json()["items"] == []


async def test_a_preview_says_what_was_weighed_and_can_be_read_again(
    http: httpx.AsyncClient,
) -> None:
    decision = await previewed(http)
    assert (decision["chosen"], decision["reason"], decision["rule"]) == (
        "cheap/card",
        "best",
        None,
    )
    cheap, dear = decision["considered"]
    assert (cheap["cost_ppm"], dear["cost_ppm"]) == (1000, 29_000)
    assert cheap["score_ppm"] - dear["score_ppm"] == 28_000
    assert decision["inputs"]["routable"]["amount_minor"] == 5_000_000
    assert (await http.get(f"/api/v1/routing/decisions/{decision['id']}")).json() == decision
    other = await previewed(http, asset="JPY")
    assert (other["chosen"], other["reason"]) == (None, "none_can")
    listed = await http.get("/api/v1/routing/decisions", params={"purpose": "preview"})
    assert [one["id"] for one in listed.json()["items"]] == [other["id"], decision["id"]]


async def test_an_unwell_provider_is_passed_over_and_the_decision_says_so(
    http: httpx.AsyncClient, unit: ServiceUnderTest
) -> None:
    async with unit.worker.transaction() as tx:
        down = [Observation(datetime.now(UTC), Outcome.INFRA, 1000, "no connection")] * 5
        await observe_health(tx, down, key=Key("cheap", "card", "EUR"), jitter_ppm=0)
    decision = await previewed(http)
    assert (decision["chosen"], decision["considered"][0]["state"]) == ("dear/card", "open")
    health = (await http.get("/api/v1/providers/health")).json()["items"]
    assert [(one["currency"], one["state"], one["cause"]) for one in health] == [
        (None, "open", "no connection"),
        ("EUR", "open", "no connection"),
    ]
    where = {"provider": "cheap", "limit": "1"}
    history = (await http.get("/api/v1/providers/health/history", params=where)).json()
    (newest,) = history["items"]
    assert (newest["old"], newest["new"], newest["n_eff"]) == ("closed", "open", 5)
    where["cursor"] = history["next_cursor"]
    rest = (await http.get("/api/v1/providers/health/history", params=where)).json()
    assert len(rest["items"]) == 1
    assert rest["items"][0]["currency"] != newest["currency"]


async def test_a_replay_shows_what_rules_would_change_and_changes_nothing(
    http: httpx.AsyncClient,
) -> None:
    without = {"otherwise": {"exclude": ["cheap"]}}
    given = {"rules": without, "payments": [PAYMENT, PAYMENT | {"asset": "JPY"}]}
    found = (await http.post(REPLAY, json=given)).json()
    assert (found["payments"], found["changed"]) == (2, 1)
    (difference,) = found["differences"]
    assert (difference["was"], difference["would_be"]) == ("cheap/card", "dear/card")
    assert found["before"]["by_target"] == {"cheap/card": 1}
    assert found["after"]["without_provider"] == 1
    assert (await http.get("/api/v1/routing/decisions")).json()["items"] == []
    version = await saved(http, **without)
    again = (await http.post(REPLAY, json={**given, "rules": None, "version": version})).json()
    assert again == found


async def test_the_past_is_replayed_with_the_health_it_had(
    http: httpx.AsyncClient, unit: ServiceUnderTest
) -> None:
    past = await previewed(http)
    async with unit.worker.transaction() as tx:
        down = [Observation(datetime.now(UTC), Outcome.INFRA, 1000, "no connection")] * 5
        await observe_health(tx, down, key=Key("dear", "card", "EUR"), jitter_ppm=0)
    body = {"rules": {"otherwise": {"exclude": ["cheap"]}}, "purpose": "preview"}
    (difference,) = (await http.post(REPLAY, json=body)).json()["differences"]
    assert difference["decision_id"] == past["id"]
    assert (difference["would_be"], difference["reason"]) == ("dear/card", "best")
    assert (await http.post(REPLAY, json={"rules": {}})).json()["payments"] == 0
    for wrong in ({}, {"rules": {}, "version": 1}, {"rules": {}, "decisions": 501}):
        assert (await http.post(REPLAY, json=wrong)).status_code == 422
    assert (await http.post(REPLAY, json={"version": 9})).status_code == 404


async def test_another_tenant_sees_no_rules_and_no_decisions(
    app: Any, http: httpx.AsyncClient
) -> None:
    version = await saved(http, otherwise={"exclude": ["cheap"]})
    await http.post(f"{RULES}/{version}/activate")
    mine = await previewed(http)
    async with a_client(app, uuid4()) as other:
        assert (await other.get(RULES)).json()["items"] == []
        assert (await other.get("/api/v1/routing/decisions")).json()["items"] == []
        for place in (f"{RULES}/{version}", f"/api/v1/routing/decisions/{mine['id']}"):
            assert (await other.get(place)).status_code == 404
        assert (await other.post(f"{RULES}/{version}/activate")).status_code == 404
        assert (await previewed(other))["chosen"] == "cheap/card"
        assert await saved(other) == 1


async def test_each_door_asks_for_its_scope(app: Any) -> None:
    reads = [
        ("GET", RULES),
        ("GET", f"{RULES}/1"),
        ("GET", f"{RULES}/active"),
        ("POST", REPLAY),
        ("POST", "/api/v1/routing/preview"),
        ("GET", "/api/v1/routing/decisions"),
        ("GET", f"/api/v1/routing/decisions/{uuid4()}"),
    ]
    writes = [("POST", RULES), ("POST", f"{RULES}/1/activate")]
    operator = [("POST", "/api/v1/providers/health/reset")]
    health = [("GET", "/api/v1/providers/health/history")]
    async with (
        a_client(app, uuid4(), frozenset({"routing:read", "providers:read"})) as reader,
        a_client(app, uuid4(), frozenset({"routing:write"})) as writer,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as nobody,
    ):
        for method, path in reads + writes + operator + health:
            assert (await nobody.request(method, path)).status_code == 401
        for method, path in writes + operator:
            assert (await reader.request(method, path, json={})).status_code == 403
        for method, path in reads + operator + health:
            assert (await writer.request(method, path, json={})).status_code == 403


async def test_only_the_operator_resets_a_circuit(app: Any, unit: ServiceUnderTest) -> None:
    async with unit.worker.transaction() as tx:
        refused = [Observation(datetime.now(UTC), Outcome.AUTH, 1000, "401")]
        await observe_health(tx, refused, key=Key("cheap", "card"), jitter_ppm=0)
    reset, which = "/api/v1/providers/health/reset", {"provider": "cheap", "rail": "card"}
    everything = frozenset({"*"})
    async with (
        a_client(app, uuid4(), everything) as tenant,
        a_client(app, PLATFORM, frozenset({"operator"}), "operator") as operator,
    ):
        assert (await tenant.post(reset, json=which)).json()["code"] == "operators_only"
        unknown = {"provider": "none", "rail": "card"}
        assert (await operator.post(reset, json=unknown)).status_code == 404
        assert (await operator.post(reset, json=which)).json() == {"state": "half_open"}
        assert (await operator.post(reset, json=which)).json()["code"] == "provider_not_open"


async def test_where_the_last_payment_went_is_kept_to_and_previews_do_not_count(
    unit: ServiceUnderTest,
) -> None:
    tenant = uuid4()
    equal = (can("one", 1000), can("two", 1000))

    async def routed(purpose: Any, offered: tuple[Capabilities, ...]) -> str | None:
        asked = Routable.model_validate(PAYMENT)
        request = RouteRequest(tenant, purpose, asked, offered, CHANCE_MAX - 1, "anna")
        (made,) = await unit.command(route_payments, request)
        return str(made.decision.chosen)

    assert await routed("preview", equal[1:]) == "two/card"
    assert await routed("payment", equal) == "one/card"
    assert await routed("payment", equal[1:]) == "two/card"
    assert await routed("payment", equal) == "two/card"


async def test_a_decision_that_was_kept_can_be_made_again_and_never_changed(
    http: httpx.AsyncClient, unit: ServiceUnderTest
) -> None:
    version = await saved(http, otherwise={"split": [{"to": "dear", "percent": 100}]})
    await http.post(f"{RULES}/{version}/activate")
    decision = await previewed(http)
    (kept,) = await unit.worker.fetch("select inputs, chosen, tenant_id from routing_decision")
    document = await unit.worker.fetchval("select document from routing_rules")
    again = choose(Inputs.model_validate(kept["inputs"]), rules_of(document))
    assert (again.chosen, again.reason) == (kept["chosen"], "split")
    assert decision["chosen"] == "dear/card"
    for statement in (
        "update routing_decision set chosen = 'x'",
        "update routing_rules set note = 'x'",
        "delete from routing_rules",
        "delete from routing_activation",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with unit.api.transaction([kept["tenant_id"]]) as tx:
                await tx.execute(statement)


async def test_previews_are_forgotten_and_payments_are_not(unit: ServiceUnderTest) -> None:
    asked = Routable.model_validate(PAYMENT)
    tenant = uuid4()
    purposes: tuple[Any, ...] = ("preview", "payment")
    for purpose in purposes:
        request = RouteRequest(tenant, purpose, asked, CATALOGUE, 0, "anna")
        await unit.command(route_payments, request)
    async with unit.worker.transaction() as tx:
        assert await delete_previews(tx, tx.now - timedelta(seconds=60)) == 0
        assert await delete_previews(tx, tx.now + timedelta(seconds=60)) == 1
    left = await unit.worker.fetchval("select purpose from routing_decision")
    assert left == "payment"


def test_the_providers_are_found_by_what_their_folders_declare() -> None:
    (tempo,) = declared(settings_for("http://127.0.0.1:1"))
    assert tempo.target == "tempo/tempo"
    assert {"USD", "PATHUSD"} <= tempo.assets
    assert tempo.operations == {Operation.COLLECT}
