"""Routes: what they take, what they refuse, and that no tenant sees another's."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from chassis.settings import Environment
from invoiceos_contracts import encode
from invoiceos_local.resolver import Infrastructure
from notification.providers.webhook_loop import Dispatcher
from testkit.service import ServiceUnderTest, a_tenant

from .conftest import Client, Receiver, make_settings
from .events import issued

ClientOf = Callable[[UUID], Client]
URL = "https://hooks.example.com/invoices"


async def test_an_endpoint_shows_its_secret_once_and_keeps_it_sealed(
    unit: ServiceUnderTest, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    made = await client.endpoint(URL, "invoiceos.invoice.*", "invoiceos.payment.seen.v1")
    assert made["secret"].startswith("whsec_")
    shown = await client("GET", f"/webhook-endpoints/{made['id']}")
    assert shown.json() == {k: v for k, v in made.items() if k != "secret"}
    assert shown.headers["etag"] == '"1"'
    listed = (await client("GET", "/webhook-endpoints")).json()
    assert listed == {"items": [shown.json()], "next_cursor": None}
    kept = await unit.worker.fetchval("select secret::text from webhook_endpoint")
    assert made["secret"].removeprefix("whsec_") not in kept


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://169.254.169.254/", "https://2130706433/", "x"]
)
async def test_a_refused_url_is_422_at_registration_and_at_change(
    url: str, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    answer = await client("POST", "/webhook-endpoints", {"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_refused")
    made = await client.endpoint(URL)
    answer = await client("PATCH", f"/webhook-endpoints/{made['id']}", {"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_refused")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 5},
        {"url": URL, "event_types": []},
        {"url": URL, "event_types": ["*"] * 51},
        {"url": URL, "event_types": ["invoiceos.nothing.v1"]},
        {"url": URL, "event_types": ["%"]},
        {"url": URL, "description": "a\u0007b"},
        {"url": URL, "description": "a" * 201},
        {"url": URL, "unknown": 1},
        {"url": "https://example.com/" + "a" * 5000},
        [],
        None,
    ],
)
async def test_a_bad_body_is_422(body: Any, client_of: ClientOf) -> None:
    answer = await client_of(a_tenant())("POST", "/webhook-endpoints", body)
    assert answer.status_code == 422
    assert answer.json()["code"]


async def test_a_change_is_refused_when_somebody_changed_it_since(client_of: ClientOf) -> None:
    client = client_of(a_tenant())
    path = f"/webhook-endpoints/{(await client.endpoint(URL))['id']}"
    first = await client("PATCH", path, {"description": "one"}, if_match='"1"')
    assert (first.status_code, first.json()["version"]) == (200, 2)
    second = await client("PATCH", path, {"description": "two"}, if_match='"1"')
    assert (second.status_code, second.json()["code"]) == (412, "version_differs")
    third = await client("PATCH", path, {"event_types": ["invoiceos.payment.*"]})
    assert third.json()["description"] == "one"
    assert third.json()["event_types"] == ["invoiceos.payment.*"]


async def test_an_endpoint_can_be_paused_and_enabled(client_of: ClientOf) -> None:
    client = client_of(a_tenant())
    path = f"/webhook-endpoints/{(await client.endpoint(URL))['id']}"
    paused = (await client("PATCH", path, {"state": "disabled"})).json()
    assert (paused["state"], paused["disabled_reason"]) == ("disabled", "by_request")
    tried = await client("POST", f"{path}/test")
    assert (tried.status_code, tried.json()["code"]) == (409, "webhook_endpoint_disabled")
    assert (await client("POST", f"{path}/enable")).json()["state"] == "enabled"


async def test_the_same_idempotency_key_makes_one_endpoint(
    client_of: ClientOf, unit: ServiceUnderTest
) -> None:
    client = client_of(a_tenant())
    body = {"url": URL}
    first = await client("POST", "/webhook-endpoints", body, idempotency_key="k1")
    second = await client("POST", "/webhook-endpoints", body, idempotency_key="k1")
    assert first.content == second.content
    assert len((await client("GET", "/webhook-endpoints")).json()["items"]) == 1
    stored = await unit.worker.fetchval(
        "select string_agg(encode(body, 'escape'), '') from idempotency"
    )
    assert first.json()["secret"] not in stored
    assert "whsec_" not in stored


async def test_another_tenant_gets_404_everywhere_and_changes_nothing(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    ours, theirs = client_of(a_tenant()), client_of(a_tenant())
    endpoint = await ours.endpoint(receiver.url())
    await unit.receives(issued(ours.tenant_id))
    await dispatcher.settle()
    place = f"/webhook-endpoints/{endpoint['id']}"
    (delivery,) = (await ours("GET", f"{place}/deliveries")).json()["items"]
    absent = f"/webhook-endpoints/{encode('whe', a_tenant())}"
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"description": "x"}),
        ("DELETE", "", None),
        ("POST", "/enable", None),
        ("POST", "/rotate-secret", None),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
    ):
        foreign = await theirs(method, place + path, body)
        missing = await theirs(method, absent + path, body)
        assert foreign.status_code == 404, (method, path)
        assert foreign.json() == missing.json()
    one = f"/webhook-deliveries/{delivery['id']}"
    assert (await theirs("GET", one)).status_code == 404
    assert (await theirs("POST", f"{one}/replay")).status_code == 404
    assert (await theirs("GET", "/webhook-endpoints")).json()["items"] == []
    unchanged = (await ours("GET", place)).json()
    assert unchanged == {k: v for k, v in endpoint.items() if k != "secret"}


async def test_row_level_security_hides_other_tenants_from_the_api_role(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    ours, theirs = client_of(a_tenant()), client_of(a_tenant())
    await ours.endpoint(receiver.url())
    await unit.receives(issued(ours.tenant_id))
    await dispatcher.settle()
    tables = ("webhook_endpoint", "webhook_delivery", "webhook_event", "webhook_attempt")
    for tenant_id, expected in ((theirs.tenant_id, 0), (ours.tenant_id, 1)):
        async with unit.api.transaction([tenant_id]) as tx:
            for table in tables:
                assert await tx.fetchval(f"select count(*) from {table}") == expected, table


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/webhook-endpoints", "webhooks:read"),
        ("POST", "/webhook-endpoints", "webhooks:write"),
        ("GET", "/notifications", "notifications:read"),
    ],
)
async def test_each_route_needs_its_scope(
    method: str, path: str, scope: str, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    client.scopes = client.scopes - {scope}
    body = {"url": URL} if method == "POST" else None
    answer = await client(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


async def test_lists_are_cut_into_pages(
    unit: ServiceUnderTest, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    await unit.receives(*(issued(client.tenant_id) for _ in range(5)))
    path = f"/webhook-endpoints/{endpoint['id']}/deliveries?limit=2"
    found: list[str] = []
    cursor = ""
    while True:
        answer = (await client("GET", f"{path}{cursor}")).json()
        found += [item["id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"
    assert len(found) == len(set(found)) == 5
    assert found == sorted(found, reverse=True)
    assert (await client("GET", f"{path}&state=failed")).json()["items"] == []
    assert (await client("GET", f"{path}&state=nonsense")).status_code == 422
    assert (await client("GET", f"{path}&cursor=x")).status_code == 422


async def test_a_tenant_has_a_bounded_number_of_endpoints(client_of: ClientOf) -> None:
    client = client_of(a_tenant())
    for _ in range(50):
        await client.endpoint(URL)
    answer = await client("POST", "/webhook-endpoints", {"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhook_endpoints")


async def test_malformed_ids_are_422(client_of: ClientOf) -> None:
    client = client_of(a_tenant())
    for path in (
        "/webhook-endpoints/x",
        "/webhook-deliveries/whe_0",
        "/notifications?invoice_id=1",
    ):
        assert (await client("GET", path)).status_code == 422


def test_the_allow_list_is_refused_in_production(infra: Infrastructure) -> None:
    production = {"environment": Environment.PRODUCTION, "kafka_network_trusted": True}
    with pytest.raises(ValidationError, match="allow"):
        make_settings(infra, **production)
    make_settings(infra, **production, webhook_allow_hosts=frozenset())
