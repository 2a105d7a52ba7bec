"""Operators' routes: the gateway asks every service, says who is silent, and lets no tenant in."""

import asyncio
import base64
import contextlib
import os
import socket
import uuid

import aiohttp
import pytest
import uvicorn

from chassis.application import build, http_server
from chassis.auth import Caller, TokenMint
from chassis.operations import PREFIX
from chassis.settings import Settings
from gateway.app import service as gateway_service
from gateway.settings import GatewaySettings, public_key_of
from invoiceos_contracts import encode
from invoiceos_contracts.identity_v1 import TenantCreated
from testkit.service import a_tenant, record_of, under_test
from toy_service.app import service as toy_service

NOBODYS = uuid.UUID("0192f0a1-0000-7000-8000-00000000000a")
SEED = base64.b64encode(bytes(range(32))).decode()
OPERATOR = "operator-" + "x" * 40
NOBODY = "http://127.0.0.1:9"
UPSTREAMS = (
    *("wallet_factory_url", "ephemeral_manager_url", "provider_orchestrator_url"),
    *("reserve_ledger_url", "notification_url"),
)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def served(service, settings):
    """A service on a port of its own, for its routes alone."""
    server = _Server(http_server(build(service, settings)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not task.done(), task
            await asyncio.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def common(place, infra):
    return {
        "environment": "test",
        "database_api_url": place.url("api"),
        "database_worker_url": place.url("worker"),
        "kafka_bootstrap": infra.kafka_bootstrap,
        "roles": "api",
        "drain_seconds": 1,
    }


@pytest.fixture(scope="module")
async def world(make_database, infra):
    """The gateway, the toy in the invoice service's place, and five services that are down."""
    places = make_database("toy_service"), make_database("gateway")
    toy_settings = Settings(
        **common(places[0], infra), internal_token_public_key=public_key_of(SEED)
    )
    async with under_test(toy_service, places[0]) as toy, served(toy_service, toy_settings) as url:
        settings = GatewaySettings(
            **common(places[1], infra),
            internal_token_private_key=SEED,
            operator_token=OPERATOR,
            personal_data_key=SEED,
            rate_limit_per_second=0,
            invoice_url=url,
            **dict.fromkeys(UPSTREAMS, NOBODY),
        )
        async with served(gateway_service, settings) as front, aiohttp.ClientSession() as http:
            yield World(toy, front, url, http)


class World:
    def __init__(self, toy, front, back, http):
        self.toy, self.front, self.back, self.http = toy, front, back, http

    async def ask(self, method, path, body=None, *, token=OPERATOR, base=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(
            method, (base or self.front) + path, json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    async def key(self):
        """A company's first key, with every right it can have."""
        status, made = await self.ask("POST", "/api/v1/tenants", {"name": "Works"})
        assert status == 201, made
        return made["api_key"]


LETTERS = "/api/v1/operations/dead-letters"


async def poisoned(world, *names):
    tenant = a_tenant()
    await world.toy.receives(*[record_of(TenantCreated(tenant_id=tenant, name=n)) for n in names])
    _, found = await world.ask("GET", f"{LETTERS}?tenant_id={encode('ten', tenant)}")
    return tenant, found["items"]


async def test_letters_of_all_services_are_listed_and_the_silent_ones_are_named(world):
    tenant, items = await poisoned(world, "poison", "second")
    assert [letter["state"] for letter in items] == ["dead", "parked"]
    assert {letter["service"] for letter in items} == {"toy_service"}
    assert items[0]["tenant_id"] == encode("ten", tenant)
    _, found = await world.ask("GET", LETTERS)
    assert found["unanswered"] == [
        *("ephemeral-manager", "notification", "provider-orchestrator", "reserve-ledger"),
        "wallet-factory",
    ]


async def test_lists_have_pages(world):
    tenant, items = await poisoned(world, "poison", "second", "third")
    path = f"{LETTERS}?tenant_id={encode('ten', tenant)}&limit=2"
    _, first = await world.ask("GET", path)
    _, second = await world.ask("GET", f"{path}&cursor={first['next_cursor']}")
    assert [letter["id"] for letter in [*first["items"], *second["items"]]] == [
        letter["id"] for letter in items
    ]
    assert second["next_cursor"] is None


async def test_a_letter_is_shown_replayed_and_discarded_with_a_reason_kept_beside_the_name(world):
    _, (letter, behind) = await poisoned(world, "poison", "second")
    place = f"{LETTERS}/invoice/{letter['id']}"
    status, shown = await world.ask("GET", place)
    assert (status, shown["behind_count"]) == (200, 1)
    assert shown["behind"][0]["id"] == behind["id"]
    assert (await world.ask("POST", f"{place}/discard", {}))[0] == 422
    assert (await world.ask("POST", f"{place}/discard", {"reason": ""}))[0] == 422
    status, done = await world.ask("POST", f"{place}/replay", {"reason": "mended"})
    assert (status, done["released"]) == (200, 2)
    await world.toy.processor.replay()
    status, done = await world.ask("POST", f"{place}/discard", {"reason": "rubbish"})
    assert (status, done["discarded"], done["released"]) == (200, 1, 1)
    status, again = await world.ask("POST", f"{place}/discard", {"reason": "rubbish"})
    assert (status, again["code"]) == (409, "dead_letter_not_open")
    rows = await world.toy.worker.fetch(
        "select actor, action, reason from operation order by id desc limit 2"
    )
    assert [tuple(row) for row in rows] == [
        ("operator", "dead_letters.discard", "rubbish"),
        ("operator", "dead_letters.replay", "mended"),
    ]


async def test_letters_that_match_are_replayed_and_leaving_all_out_is_no_choice(world):
    tenant, _ = await poisoned(world, "poison", "second")
    wanted = {"tenant_id": encode("ten", tenant)}
    path = f"{LETTERS}/invoice/replay"
    status, done = await world.ask("POST", path, {"reason": "mended", "wanted": wanted})
    assert (status, done["released"]) == (200, 2)
    status, refused = await world.ask("POST", path, {"reason": "mended", "wanted": {}})
    assert (status, refused["code"]) == (422, "nothing_chosen")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", f"{LETTERS}?state=odd", None, 422, "unknown_state"),
        ("GET", f"{LETTERS}?service=odd", None, 404, "unknown_service"),
        ("GET", f"{LETTERS}?limit=0", None, 422, "invalid_request"),
        ("GET", f"{LETTERS}?cursor=odd", None, 422, "invalid_cursor"),
        ("GET", f"{LETTERS}/invoice/{NOBODYS}", None, 404, "dead_letter_not_found"),
        ("GET", f"{LETTERS}/gateway/{NOBODYS}", None, 404, "dead_letter_not_found"),
        ("GET", f"{LETTERS}/notification/{NOBODYS}", None, 503, "service_unavailable"),
        ("POST", f"{LETTERS}/odd/{NOBODYS}/replay", {"reason": "x"}, 404, "unknown_service"),
        ("GET", "/api/v1/operations/traces/inv_odd", None, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem(world, method, path, body, status, code):
    found, problem = await world.ask(method, path, body)
    assert (found, problem["code"]) == (status, code), problem


async def test_backlogs_and_timers_of_all_services_are_in_one_answer(world):
    status, found = await world.ask("GET", "/api/v1/operations/outbox")
    assert status == 200
    assert [item["service"] for item in found["items"]] == ["gateway", "toy_service"]
    assert found["items"][0]["shards"]["all"] == 16
    status, found = await world.ask("GET", "/api/v1/operations/timers?service=invoice")
    assert (status, found["unanswered"]) == (200, [])


@pytest.mark.parametrize(
    "path",
    [
        LETTERS,
        "/api/v1/operations/outbox",
        "/api/v1/operations/timers",
        f"/api/v1/operations/traces/{encode('inv', NOBODYS)}",
    ],
)
async def test_no_tenants_key_gets_in_whatever_its_scopes(world, path):
    status, refused = await world.ask("GET", path, token=await world.key())
    assert (status, refused["code"]) == (403, "operator_only")
    assert (await world.ask("GET", path, token=None))[0] == 401


async def test_a_service_believes_no_tenant_who_comes_past_the_gateway(world):
    token = TokenMint(SEED).mint(Caller(a_tenant(), "key_x", frozenset({"*", "operator"})))
    path = f"{PREFIX}/find-letters"
    status, refused = await world.ask("POST", path, {}, token=token, base=world.back)
    assert (status, refused["code"]) == (403, "operator_only")
    assert (await world.ask("POST", path, {}))[0] == 404


async def test_effects_of_an_event_are_for_the_tenant_alone(world):
    path = f"/api/v1/events/{uuid.uuid4()}/effects"
    status, found = await world.ask("GET", path, token=await world.key())
    assert (status, found["items"]) == (200, [])
    assert "gateway" not in found["unanswered"]


os.environ.setdefault("INVOICEOS_ENVIRONMENT", "test")
