"""Outbound webhooks end to end: events in, signed requests out, outcomes recorded."""

import asyncio
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from invoiceos_contracts import decode
from invoiceos_contracts.invoice_v1 import InvoicePaid
from invoiceos_contracts.ledger_v1 import ReserveStated
from invoiceos_contracts.notification_v1 import WebhookDelivered, WebhookEndpointDisabled
from invoiceos_contracts.registry import PUBLISHED
from notification.domain.deliveries import Answer, Claim, Outcome
from notification.providers.webhook_loop import Dispatcher
from notification.settings import NotificationSettings
from testkit.service import ServiceUnderTest, a_tenant, record_of

from .conftest import PERSONAL_KEY, Client, Receiver, make_due
from .events import issued, sealed, settled

ClientOf = Callable[[UUID], Client]


async def states(unit: ServiceUnderTest) -> list[str]:
    rows = await unit.worker.fetch("select state from webhook_delivery order by id")
    return [row["state"] for row in rows]


async def test_an_event_arrives_signed_with_its_own_id_and_without_personal_data(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    tenant = a_tenant()
    endpoint = await client_of(tenant).endpoint(receiver.url(), "invoiceos.invoice.*")
    customer = a_tenant()
    recipient = sealed("ann@example.com", "Ann", customer, PERSONAL_KEY)
    fact = issued(tenant, customer_id=customer, recipient=recipient)
    record = record_of(fact)
    await unit.receives(record)
    await dispatcher.settle()
    (arrived,) = receiver.arrived
    body = arrived.verified(endpoint["secret"])
    event_id = dict(record.headers)["ce_id"].decode()
    assert arrived.webhook_id == body["id"] == event_id
    assert body["type"] == "invoiceos.invoice.issued.v1"
    assert body["data"] == {k: v for k, v in json.loads(fact.write()).items() if k != "recipient"}
    assert "ann@example.com" not in arrived.body.decode()
    (stated,) = await unit.facts(WebhookDelivered)
    assert str(stated.delivered_event_id) == event_id
    assert (stated.attempt, stated.status_code, stated.invoice_id) == (1, 204, fact.invoice_id)


async def test_a_wrong_secret_does_not_verify(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url("/one"))
    other = await client.endpoint(receiver.url("/two"))
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    with pytest.raises(WebhookVerificationError):
        receiver.at("/one")[0].verified(other["secret"])


async def test_doubled_and_shuffled_events_make_one_delivery_an_endpoint_and_event(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    chance = random.Random(7)
    clients = [client_of(a_tenant()) for _ in range(3)]
    for client in clients:
        await client.endpoint(receiver.url("/all"))
        await client.endpoint(receiver.url("/paid"), "invoiceos.invoice.paid.v1")
    facts = [issued(client.tenant_id) for client in clients for _ in range(4)]
    records = [record_of(fact) for fact in facts]
    records += [record_of(settled(InvoicePaid, fact, 1250)) for fact in facts]
    stream = records * 2
    chance.shuffle(stream)
    for start in range(0, len(stream), 7):
        await unit.receives(*stream[start : start + 7])
    await dispatcher.settle()
    ids = [arrived.webhook_id for arrived in receiver.at("/all")]
    assert sorted(ids) == sorted(dict(r.headers)["ce_id"].decode() for r in records)
    assert len(receiver.at("/paid")) == len(facts)
    assert len(await unit.facts(WebhookDelivered)) == len(ids) + len(facts)


async def test_each_tenant_gets_its_own_events_only(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    ours, theirs = a_tenant(), a_tenant()
    await client_of(ours).endpoint(receiver.url("/ours"))
    await client_of(theirs).endpoint(receiver.url("/theirs"))
    await unit.receives(issued(ours))
    await dispatcher.settle()
    assert len(receiver.at("/ours")) == 1
    assert receiver.at("/theirs") == []
    queued = await unit.worker.fetch("select tenant_id from webhook_delivery")
    assert [row["tenant_id"] for row in queued] == [ours]


async def test_a_failing_receiver_is_tried_again_with_the_same_id_and_a_new_timestamp(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [503, 429, 302]
    await unit.receives(issued(client.tenant_id))
    for _ in range(3):
        await dispatcher.settle()
        assert await states(unit) == ["pending"]
        await make_due(unit)
    await dispatcher.settle()
    assert await states(unit) == ["succeeded"]
    assert len({arrived.webhook_id for arrived in receiver.arrived}) == 1
    assert len(receiver.arrived) == 4
    for arrived in receiver.arrived:
        arrived.verified(endpoint["secret"])
    listed = (await client("GET", f"/webhook-endpoints/{endpoint['id']}/deliveries")).json()
    shown = (await client("GET", f"/webhook-deliveries/{listed['items'][0]['id']}")).json()
    assert [a["status_code"] for a in shown["attempts"]] == [503, 429, 302, 204]
    assert shown["attempts"][0]["answer"] == "answer 503"


async def test_the_wait_follows_the_schedule_and_what_the_receiver_asks(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [500, {"status": 503, "headers": {"Retry-After": "3000"}}]
    await unit.receives(issued(client.tenant_id))
    wait = "select extract(epoch from next_at - now())::float from webhook_delivery"
    await dispatcher.settle()
    assert 2 < await unit.worker.fetchval(wait) <= 6
    await make_due(unit)
    await dispatcher.settle()
    assert 2900 < await unit.worker.fetchval(wait) <= 3000


async def test_another_4xx_stops_and_can_be_replayed_under_the_same_id(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [404]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    assert await states(unit) == ["failed"]
    failed = f"/webhook-endpoints/{endpoint['id']}/deliveries?state=failed"
    (delivery,) = (await client("GET", failed)).json()["items"]
    answer = await client("POST", f"/webhook-deliveries/{delivery['id']}/replay")
    assert answer.status_code == 202
    assert answer.json()["generation"] == 2
    again = await client("POST", f"/webhook-deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["code"]) == (409, "webhook_delivery_unfinished")
    await dispatcher.settle()
    assert await states(unit) == ["failed", "succeeded"]
    assert len({arrived.webhook_id for arrived in receiver.arrived}) == 1


async def test_attempts_end_after_the_schedule(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [500] * 50
    await unit.receives(issued(client.tenant_id))
    for _ in range(14):
        await dispatcher.settle()
        await make_due(unit)
    assert await states(unit) == ["failed"]
    assert len(receiver.arrived) == 11
    assert await unit.facts(WebhookDelivered) == []


async def test_gone_disables_the_endpoint_and_says_so(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [410]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    (stated,) = await unit.facts(WebhookEndpointDisabled)
    assert stated.reason == "gone"
    shown = (await client("GET", f"/webhook-endpoints/{endpoint['id']}")).json()
    assert (shown["state"], shown["disabled_reason"]) == ("disabled", "gone")
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    assert len(receiver.arrived) == 1
    await client("POST", f"/webhook-endpoints/{endpoint['id']}/enable")
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    assert len(receiver.arrived) == 2


async def test_an_endpoint_that_failed_for_days_is_disabled_once_and_what_waits_is_canceled(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [500] * 9
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    assert await unit.facts(WebhookEndpointDisabled) == []
    long_ago = datetime.now(UTC) - timedelta(days=6)
    await unit.worker.pool.execute("update webhook_endpoint set failing_since = $1", long_ago)
    await unit.receives(issued(client.tenant_id), issued(client.tenant_id))
    await make_due(unit)
    await dispatcher.settle()
    (stated,) = await unit.facts(WebhookEndpointDisabled)
    assert stated.since == long_ago
    assert stated.endpoint_id == decode("whe", endpoint["id"])
    dispatcher._tidied = -1e9
    await dispatcher.settle()
    assert set(await states(unit)) == {"canceled"}


async def test_one_success_ends_the_failing_time(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [500]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    since = "select failing_since from webhook_endpoint"
    assert await unit.worker.fetchval(since) is not None
    await make_due(unit)
    await dispatcher.settle()
    assert await unit.worker.fetchval(since) is None


async def test_a_hanging_receiver_delays_nobody_else(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    slow, quick = client_of(a_tenant()), client_of(a_tenant())
    await slow.endpoint(receiver.url("/hang"))
    await slow.endpoint(receiver.url("/slow-tenants-other"), "invoiceos.invoice.paid.v1")
    await quick.endpoint(receiver.url("/quick"))
    await unit.receives(*(issued(slow.tenant_id) for _ in range(40)))
    running = asyncio.create_task(dispatcher.run())
    try:
        async with asyncio.timeout(60):
            while receiver.held == 0:
                await asyncio.sleep(0.01)
            await unit.receives(*(issued(quick.tenant_id) for _ in range(40)))
            while len(receiver.at("/quick")) < 40:
                await asyncio.sleep(0.01)
        assert not receiver.hanging.is_set()
        assert receiver.held <= 4
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (
        await unit.worker.fetchval(
            "select count(*) from webhook_delivery where state = 'delivering'"
        )
        == 0
    )


async def test_endpoints_known_to_fail_hold_few_connections(
    unit: ServiceUnderTest,
    dispatcher: Dispatcher,
    receiver: Receiver,
    client_of: ClientOf,
    settings: NotificationSettings,
) -> None:
    clients = [client_of(a_tenant()) for _ in range(6)]
    for client in clients:
        await client.endpoint(receiver.url("/hang"))
    await unit.worker.pool.execute("update webhook_endpoint set failing_since = now()")
    await unit.receives(*(issued(c.tenant_id) for c in clients for _ in range(5)))
    claims = await dispatcher.claim()
    assert len(claims) == settings.webhook_concurrency // 4
    assert len({claim.tenant_id for claim in claims}) >= 2


async def test_a_claim_takes_tenants_in_turns(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    big, small = client_of(a_tenant()), client_of(a_tenant())
    await big.endpoint(receiver.url())
    await small.endpoint(receiver.url())
    await unit.receives(*(issued(big.tenant_id) for _ in range(100)))
    await unit.receives(issued(small.tenant_id))
    claims = await dispatcher.claim()
    assert [claim.tenant_id for claim in claims].count(big.tenant_id) == 4
    assert [claim.tenant_id for claim in claims].count(small.tenant_id) == 1


async def test_what_a_dead_process_had_claimed_is_delivered_under_the_same_id(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    await unit.receives(issued(client.tenant_id))
    (claim,) = await dispatcher.claim()
    await dispatcher._sender.attempt(claim)
    await dispatcher.settle()
    assert len(receiver.arrived) == 1
    await unit.worker.pool.execute("update webhook_delivery set lease_until = now()")
    dispatcher._tidied = -1e9
    await dispatcher.settle()
    assert [arrived.webhook_id for arrived in receiver.arrived] == [str(claim.event_id)] * 2
    assert await states(unit) == ["succeeded"]
    rows = await unit.worker.fetch(
        "select error, status_code from webhook_attempt order by attempt"
    )
    assert [tuple(row) for row in rows] == [("lost", None), (None, 204)]


async def test_an_outcome_that_comes_after_another_attempt_began_changes_nothing(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    await unit.receives(issued(client.tenant_id))
    (first,) = await dispatcher.claim()
    await unit.worker.pool.execute("update webhook_delivery set lease_until = now()")
    dispatcher._tidied = -1e9
    await dispatcher._tidy()
    (second,) = await dispatcher.claim()
    late = Outcome(first, datetime.now(UTC), 5, Answer(status_code=404))
    dispatcher._finished.append(late)
    await dispatcher._record()
    assert (second.attempt, await states(unit)) == (2, ["delivering"])


async def test_both_secrets_sign_while_one_is_rotated_out(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    old = await client.endpoint(receiver.url())
    new = (await client("POST", f"/webhook-endpoints/{old['id']}/rotate-secret")).json()
    assert new["secret"] != old["secret"]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    receiver.arrived[0].verified(old["secret"])
    receiver.arrived[0].verified(new["secret"])
    await unit.worker.pool.execute("update webhook_endpoint set previous_secret_until = now()")
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    receiver.arrived[1].verified(new["secret"])
    with pytest.raises(WebhookVerificationError):
        receiver.arrived[1].verified(old["secret"])


async def test_a_deleted_endpoint_gets_nothing_and_its_secret_is_gone(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    await unit.receives(issued(client.tenant_id))
    deleted = await client("DELETE", f"/webhook-endpoints/{endpoint['id']}")
    assert deleted.status_code == 204
    dispatcher._tidied = -1e9
    await dispatcher.settle()
    assert receiver.arrived == []
    assert await states(unit) == ["canceled"]
    assert await unit.worker.fetchval("select secret is null from webhook_endpoint")


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    step = {"status": 307, "headers": {"Location": receiver.url("/x"), "Set-Cookie": "a=1"}}
    receiver.scripts["/hook"] = [step]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    await make_due(unit)
    await dispatcher.settle()
    assert receiver.at("/x") == []
    assert all("cookie" not in arrived.headers for arrived in receiver.arrived)


async def test_only_the_beginning_of_an_answer_is_kept_whatever_bytes_it_holds(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    receiver.scripts["/hook"] = [{"status": 200, "body": b"\x00\xff\xfe" * 100_000}]
    await unit.receives(issued(client.tenant_id))
    await dispatcher.settle()
    assert await states(unit) == ["succeeded"]
    kept = await unit.worker.fetchval("select answer from webhook_attempt")
    assert len(kept) <= 1024
    assert "\x00" not in kept


def outcome_with(claim: Claim, **answer: Any) -> Outcome:
    return Outcome(claim, datetime.now(UTC), 1, Answer(**answer))


async def test_an_outcome_that_cannot_be_written_does_not_hold_up_the_others(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    await unit.receives(*(issued(client.tenant_id) for _ in range(3)))
    claims = await dispatcher.claim()
    dispatcher._finished += [outcome_with(claim, status_code=204) for claim in claims[1:]]
    dispatcher._finished.append(outcome_with(claims[0], status_code=204, excerpt="\x00"))
    await dispatcher._record()
    assert sorted(await states(unit)) == ["delivering", "succeeded", "succeeded"]


async def test_facts_of_the_platform_are_nobodys_webhook() -> None:
    assert ReserveStated not in PUBLISHED
    owners = {event.OWNER for event in PUBLISHED}
    assert owners.isdisjoint({"notification", "gateway"})
    assert len(PUBLISHED) > 35


async def test_the_loop_is_woken_by_the_commit_that_queued_a_delivery(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    await client.endpoint(receiver.url())
    unit.worker.on_commit.append(dispatcher.on_commit)
    dispatcher.wake.clear()
    await unit.receives(issued(client.tenant_id))
    assert dispatcher.wake.is_set()


async def test_a_test_event_arrives_whatever_types_the_endpoint_asked_for(
    unit: ServiceUnderTest, dispatcher: Dispatcher, receiver: Receiver, client_of: ClientOf
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url(), "invoiceos.invoice.paid.v1")
    answer = await client("POST", f"/webhook-endpoints/{endpoint['id']}/test")
    assert answer.status_code == 202
    await dispatcher.settle()
    body = receiver.arrived[0].verified(endpoint["secret"])
    assert (body["type"], body["id"]) == ("invoiceos.webhook.test", answer.json()["event_id"])
