"""The habits of deliveries: doubled, out of order, late, lost, and tried again."""

import json
import socket
import time

import pytest

from invoiceos_local.ports import LOOPBACK

from .conftest import Receiver, Sandbox


def listen(sandbox: Sandbox, receiver: Receiver) -> None:
    wanted = {"url": receiver.url, "enabled_events": ["payment_intent.created"]}
    sandbox.stripe().v1.webhook_endpoints.create(wanted)


def create(sandbox: Sandbox, count: int = 1) -> list[str]:
    client = sandbox.stripe()
    wanted = {"amount": 5_000, "currency": "usd"}
    return [client.v1.payment_intents.create(wanted).id for _ in range(count)]


def taken(receiver: Receiver) -> list[str]:
    return [json.loads(body)["data"]["object"]["id"] for body in receiver.bodies()]


def send(sandbox: Sandbox) -> None:
    sandbox.ok("POST", "/sandbox/deliveries/send")


def test_an_event_comes_twice_where_the_plan_doubles_it(sandbox, receiver) -> None:
    listen(sandbox, receiver)
    sandbox.plan("stripe", webhooks={"duplicate": 1})
    [intent] = create(sandbox)
    send(sandbox)
    assert taken(receiver) == [intent, intent]
    assert len({json.loads(body)["id"] for body in receiver.bodies()}) == 1


def test_a_later_event_overtakes_one_that_is_held_back(sandbox, receiver) -> None:
    listen(sandbox, receiver)
    sandbox.plan("stripe", webhooks={"reorder": 1, "reorder_s": 5})
    first = create(sandbox)
    sandbox.plan("stripe")
    second = create(sandbox)
    sandbox.advance(4)
    assert taken(receiver) == second
    sandbox.advance(2)
    assert taken(receiver) == [*second, *first]


def test_a_delay_is_of_the_sandboxs_time(sandbox, receiver) -> None:
    listen(sandbox, receiver)
    delay = {"median_ms": 60_000, "p99_ms": 60_000}
    sandbox.plan("stripe", webhooks={"delay": delay})
    made = create(sandbox)
    sandbox.advance(59)
    assert taken(receiver) == []
    sandbox.advance(2)
    assert taken(receiver) == made


def test_what_is_lost_is_never_sent_and_only_the_api_tells_of_it(sandbox, receiver) -> None:
    listen(sandbox, receiver)
    sandbox.plan("stripe", webhooks={"drop": 1})
    create(sandbox)
    sandbox.advance(7 * 86_400)
    assert receiver.taken == []
    assert [one.type for one in sandbox.stripe().v1.events.list().data] == [
        "payment_intent.created"
    ]


def test_stripe_tries_again_later_and_later_and_signs_anew(sandbox, receiver) -> None:
    listen(sandbox, receiver)
    receiver.statuses = [500, 302]
    [intent] = create(sandbox)
    send(sandbox)
    assert len(receiver.taken) == 1
    sandbox.advance(60)
    assert len(receiver.taken) == 2
    sandbox.advance(300)
    assert taken(receiver) == [intent] * 3
    assert len({headers["stripe-signature"] for headers, _ in receiver.taken}) == 3
    [delivery] = sandbox.ok("GET", "/sandbox/deliveries")["deliveries"]
    assert delivery["state"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 302, 200]


@pytest.mark.parametrize("provider", ["stripe", "paypal", "circle"])
def test_a_receiver_that_never_answers_well_is_given_up(sandbox, receiver, provider) -> None:
    receiver.statuses = [503] * 100
    if provider == "stripe":
        listen(sandbox, receiver)
        create(sandbox)
    elif provider == "paypal":
        wanted = {"url": receiver.url, "event_types": [{"name": "CHECKOUT.ORDER.APPROVED"}]}
        client = sandbox.paypal()
        client.post("/v1/notifications/webhooks", json=wanted)
        unit = {"amount": {"currency_code": "USD", "value": "1.00"}}
        body = {"intent": "CAPTURE", "purchase_units": [unit]}
        order = client.post("/v2/checkout/orders", json=body).json()["id"]
        sandbox.simulate("paypal", "approve", order=order)
    else:
        subscriptions = "/v1/notifications/subscriptions"
        sandbox.circle().post(subscriptions, json={"endpoint": receiver.url})
    sandbox.advance(10 * 86_400)
    [delivery] = sandbox.ok("GET", "/sandbox/deliveries")["deliveries"]
    assert delivery["state"] == "given up"
    assert len(delivery["attempts"]) == len(receiver.taken) > 5


def test_nobody_waits_for_a_receiver_of_somebody_else(sandbox: Sandbox, receiver: Receiver) -> None:
    silent = socket.create_server((LOOPBACK, 0))
    client = sandbox.stripe()
    for url in (f"http://{LOOPBACK}:{silent.getsockname()[1]}/", receiver.url):
        client.v1.webhook_endpoints.create({"url": url, "enabled_events": ["*"]})
    try:
        [intent] = create(sandbox)
        deadline = time.monotonic() + 30
        while not receiver.taken:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert taken(receiver) == [intent]
        first, second = sandbox.ok("GET", "/sandbox/deliveries")["deliveries"]
        assert first["url"] != receiver.url
        assert (first["state"], first["attempts"]) == ("waiting", [])
        assert second["url"] == receiver.url
    finally:
        silent.close()
