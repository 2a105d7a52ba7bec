"""Each fault of the plan, seen from outside; the seed decides, and decides the same again."""

import time

import httpx
import pytest
import stripe

from .conftest import Make, Receiver, Sandbox

CAPTURE = "payment_intents.capture"


def authorised(client: stripe.StripeClient, reference: str = "INV-1") -> str:
    return client.v1.payment_intents.create(
        {
            "amount": 5_000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "capture_method": "manual",
            "metadata": {"reference": reference},
        }
    ).id


def capture(sandbox: Sandbox, intent: str, **more) -> httpx.Response:
    headers = {"Authorization": "Bearer sk_test_1"}
    path = f"/stripe/v1/payment_intents/{intent}/capture"
    return sandbox.http.post(path, headers=headers, **more)


def captured(sandbox: Sandbox) -> int:
    told = sandbox.truth()["references"].get("INV-1")
    return told["captured_minor"] if told else 0


@pytest.mark.parametrize(
    ("fault", "status", "happened"),
    [
        ({"unavailable": 1}, 503, False),
        ({"throttled": 1, "retry_after_s": 7}, 429, False),
        ({"error_after": 1}, 500, True),
        ({"hang": 1, "hang_ms": 50}, 200, True),
    ],
)
def test_a_fault_answers_as_it_should_and_the_truth_knows_whether_it_happened(
    sandbox: Sandbox, fault, status, happened
) -> None:
    intent = authorised(sandbox.stripe())
    sandbox.plan("stripe", operations={CAPTURE: fault})
    answer = capture(sandbox, intent)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
    assert captured(sandbox) == (5_000 if happened else 0)


def test_a_lost_response_resets_the_connection_after_the_capture(sandbox: Sandbox) -> None:
    intent = authorised(sandbox.stripe())
    sandbox.plan("stripe", operations={CAPTURE: {"response_lost": 1}})
    with pytest.raises(httpx.NetworkError):
        capture(sandbox, intent)
    assert captured(sandbox) == 5_000


@pytest.mark.parametrize(("effect", "meanwhile"), [("early", 5_000), ("late", 0)])
def test_what_hangs_happens_before_or_after_the_client_has_given_up(
    sandbox: Sandbox, effect: str, meanwhile: int
) -> None:
    intent = authorised(sandbox.stripe())
    fault = {"hang": 1, "hang_ms": 700, "effect": effect}
    sandbox.plan("stripe", operations={CAPTURE: fault})
    with pytest.raises(httpx.ReadTimeout):
        capture(sandbox, intent, timeout=0.2)
    assert captured(sandbox) == meanwhile
    deadline = time.monotonic() + 30
    while captured(sandbox) != 5_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_outage_begins_and_ends_by_the_clock(sandbox: Sandbox) -> None:
    now = sandbox.ok("GET", "/sandbox/clock")["seconds"]
    outages = [
        {"start": now + 60, "end": now + 120, "answer": "503"},
        {"start": now + 120, "end": now + 180, "answer": "reset"},
    ]
    sandbox.plan("stripe", outages=outages)
    client = sandbox.stripe()
    intents = [authorised(client)]
    sandbox.advance(60)
    assert capture(sandbox, intents[0]).status_code == 503
    sandbox.advance(60)
    with pytest.raises(httpx.NetworkError):
        capture(sandbox, intents[0])
    assert captured(sandbox) == 0
    sandbox.advance(60)
    assert capture(sandbox, intents[0]).status_code == 200


def test_latency_is_waited_for(sandbox: Sandbox) -> None:
    latency = {"latency": {"median_ms": 300, "p99_ms": 300}}
    sandbox.plan("stripe", operations={"balance.retrieve": latency})
    began = time.monotonic()
    sandbox.stripe().v1.balance.retrieve()
    assert time.monotonic() - began >= 0.3


def test_every_provider_says_no_where_the_plan_says_so(sandbox: Sandbox) -> None:
    sandbox.faults("stripe", payment_intents__create={"declined": 1})
    with pytest.raises(stripe.CardError):
        authorised(sandbox.stripe())
    sandbox.faults("paypal", orders__capture={"declined": 1})
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    order = client.post("/v2/checkout/orders", json=body).json()["id"]
    sandbox.simulate("paypal", "approve", order=order)
    said = client.post(f"/v2/checkout/orders/{order}/capture").json()
    assert said["details"][0]["issue"] == "INSTRUMENT_DECLINED"
    assert sandbox.truth()["count"] == 0


@pytest.mark.parametrize(
    "plan",
    [
        {"providers": {"stripe": {"default": {"unavailable": 1.5}}}},
        {"providers": {"stripe": {"default": {"unavailable": 0.6, "response_lost": 0.6}}}},
        {"providers": {"stripe": {"default": {"latency": {"median_ms": 9, "p99_ms": 1}}}}},
        {"providers": {"stripe": {"default": {"explodes": 1}}}},
        {"providers": {"stripe": {"operations": {"payment_intents.burn": {}}}}},
        {"providers": {"square": {}}},
        {"providers": {"stripe": {"outages": [{"start": 2, "end": 1}]}}},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_and_the_old_one_holds(sandbox, plan) -> None:
    sandbox.faults("stripe", balance__retrieve={"throttled": 0.25})
    before = sandbox.ok("GET", "/sandbox/faults")
    assert sandbox.http.put("/sandbox/faults", json=plan).status_code == 422
    assert sandbox.ok("GET", "/sandbox/faults") == before
    assert before["providers"]["stripe"]["operations"]["balance.retrieve"]["throttled"] == 0.25


def history(sandbox: Sandbox) -> list:
    """Statuses, identifiers and truth of a run under a bit of everything."""
    sandbox.plan(
        "stripe",
        default={
            "unavailable": 0.1,
            "throttled": 0.1,
            "error_after": 0.1,
            "response_lost": 0.1,
            "declined": 0.2,
        },
        webhooks={"duplicate": 0.3, "reorder": 0.3, "drop": 0.2},
    )
    seen: list = []
    for place in range(30):
        data = {
            "amount": "5000",
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": "true",
            "metadata[reference]": f"INV-{place}",
        }
        headers = {"Authorization": "Bearer sk_test_1", "Idempotency-Key": f"k{place}"}
        try:
            answer = sandbox.http.post("/stripe/v1/payment_intents", data=data, headers=headers)
            seen.append((answer.status_code, answer.json().get("id")))
        except httpx.NetworkError as error:
            seen.append(type(error).__name__)
    sandbox.advance(10)
    told = sandbox.truth()["facts"]
    deliveries = sandbox.ok("GET", "/sandbox/deliveries")["deliveries"]
    return [seen, told, [(one["event"], one["state"]) for one in deliveries]]


def test_the_same_seed_and_requests_give_the_same_history_and_another_seed_another(
    make_sandbox: Make, receiver: Receiver
) -> None:
    histories = []
    for seed in (7, 7, 8):
        sandbox = make_sandbox(":memory:", seed)
        wanted = {"url": receiver.url, "enabled_events": ["*"]}
        sandbox.stripe().v1.webhook_endpoints.create(wanted)
        histories.append(history(sandbox))
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]
    kinds = {str(one) if isinstance(one, str) else str(one[0]) for one in histories[0][0]}
    assert len(kinds) >= 5
