"""What each provider remembers of a request that is repeated, and for how long."""

import threading
import uuid

import httpx
import pytest
import stripe

from .conftest import Sandbox

HOUR, DAY = 3600, 86_400
PAYMENT = {
    "amount": 5_000,
    "currency": "eur",
    "payment_method": "pm_card_visa",
    "confirm": True,
    "metadata": {"reference": "INV-1"},
}


def charge(client: stripe.StripeClient, key: str, **more):
    return client.v1.payment_intents.create(PAYMENT | more, {"idempotency_key": key})


def test_stripe_gives_the_first_answer_again_for_a_day(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    first = charge(client, "k")
    sandbox.advance(DAY - 1)
    again = charge(client, "k")
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert sandbox.truth()["count"] == 1
    sandbox.advance(1)
    assert charge(client, "k").id != first.id
    assert sandbox.truth()["double_captures"] == ["INV-1"]


def test_stripe_refuses_a_key_with_other_parameters(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    charge(client, "k")
    with pytest.raises(stripe.IdempotencyError):
        charge(client, "k", amount=6_000)
    assert sandbox.truth()["count"] == 1


def test_stripe_remembers_a_500_and_a_decline_but_no_mistake_of_the_caller(
    sandbox: Sandbox,
) -> None:
    client = sandbox.stripe()
    sandbox.faults("stripe", payment_intents__create={"error_after": 1})
    with pytest.raises(stripe.APIError):
        charge(client, "failed")
    sandbox.faults("stripe")
    with pytest.raises(stripe.APIError):
        charge(client, "failed")
    assert sandbox.truth("INV-1")["references"]["INV-1"]["captured_minor"] == 5_000

    for _ in range(2):
        with pytest.raises(stripe.CardError):
            charge(client, "declined", payment_method="pm_card_chargeDeclined")
    assert len(client.v1.charges.list().data) == 2

    with pytest.raises(stripe.InvalidRequestError):
        charge(client, "mistake", amount=1)
    assert charge(client, "mistake").status == "succeeded"


def test_paypal_answers_what_the_first_request_made_as_it_is_now(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    headers = {"PayPal-Request-Id": "order-1"}

    def create() -> httpx.Response:
        return client.post("/v2/checkout/orders", json=body, headers=headers)

    first = create()
    sandbox.simulate("paypal", "approve", order=first.json()["id"])
    again = create()
    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "APPROVED")
    body["intent"] = "AUTHORIZE"
    assert create().json()["details"][0]["issue"] == "DUPLICATE_REQUEST_ID"
    sandbox.advance(6 * HOUR)
    body["intent"] = "CAPTURE"
    assert create().json()["id"] != first.json()["id"]


def test_paypal_knows_a_refund_for_45_days_and_a_payout_for_30(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    order = client.post("/v2/checkout/orders", json=body).json()["id"]
    sandbox.simulate("paypal", "approve", order=order)
    done = client.post(f"/v2/checkout/orders/{order}/capture").json()
    capture = done["purchase_units"][0]["payments"]["captures"][0]["id"]
    part = {"amount": {"currency_code": "USD", "value": "1.00"}}
    batch = {
        "sender_batch_header": {},
        "items": [{"receiver": "a@b.test", "amount": {"currency": "USD", "value": "1.00"}}],
    }

    def both() -> tuple[str, str]:
        headers = {"PayPal-Request-Id": "k"} | dict(sandbox.paypal().headers)
        refund = sandbox.http.post(
            f"/paypal/v2/payments/captures/{capture}/refund", json=part, headers=headers
        )
        payout = sandbox.http.post("/paypal/v1/payments/payouts", json=batch, headers=headers)
        return refund.json()["id"], payout.json()["batch_header"]["payout_batch_id"]

    first = both()
    sandbox.advance(30 * DAY - 1)
    assert both() == first
    sandbox.advance(1)
    later = both()
    assert (later[0] == first[0], later[1] == first[1]) == (True, False)
    sandbox.advance(15 * DAY)
    assert both()[0] != first[0]


def test_paypal_forgets_a_refusal_so_that_the_same_id_may_be_tried_again(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    body = {"intent": "CAPTURE", "purchase_units": [unit]}
    path = f"/v2/checkout/orders/{client.post('/v2/checkout/orders', json=body).json()['id']}"
    headers = {"PayPal-Request-Id": "capture-1"}
    assert client.post(f"{path}/capture", headers=headers).status_code == 422
    sandbox.simulate("paypal", "approve", order=path.rpartition("/")[2])
    assert client.post(f"{path}/capture", headers=headers).status_code == 201
    assert client.post(f"{path}/capture", headers=headers).json()["status"] == "COMPLETED"
    assert sandbox.truth()["count"] == 1


def test_circle_gives_the_first_answer_again_and_refuses_another_body(sandbox: Sandbox) -> None:
    client = sandbox.circle()
    body = {
        "idempotencyKey": str(uuid.uuid4()),
        "amount": {"amount": "10.00", "currency": "USD"},
        "settlementCurrency": "USD",
        "paymentMethods": [{"type": "blockchain", "chain": "ETH"}],
    }
    answers = [client.post("/v1/paymentIntents", json=body) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    body["amount"] = {"amount": "11.00", "currency": "USD"}
    assert client.post("/v1/paymentIntents", json=body).status_code == 409
    assert len(client.get("/v1/paymentIntents").json()["data"]) == 1


@pytest.mark.parametrize("provider", ["stripe", "paypal", "circle"])
def test_a_second_request_with_the_key_is_a_conflict_while_the_first_runs(
    sandbox: Sandbox, provider: str
) -> None:
    key = str(uuid.uuid4())
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    money = {"amount": "10.00", "currency": "USD"}
    chain = [{"type": "blockchain", "chain": "ETH"}]
    path, operation, sent = {
        "stripe": (
            "/stripe/v1/payment_intents",
            "payment_intents.create",
            {
                "data": {"amount": "5000", "currency": "usd"},
                "headers": {"Idempotency-Key": key, "Authorization": "Bearer sk_test_1"},
            },
        ),
        "paypal": (
            "/paypal/v2/checkout/orders",
            "orders.create",
            {
                "json": {"intent": "CAPTURE", "purchase_units": [unit]},
                "headers": {"PayPal-Request-Id": key} | dict(sandbox.paypal().headers),
            },
        ),
        "circle": (
            "/circle/v1/paymentIntents",
            "paymentIntents.create",
            {
                "json": {
                    "idempotencyKey": key,
                    "amount": money,
                    "settlementCurrency": "USD",
                    "paymentMethods": chain,
                },
                "headers": dict(sandbox.circle().headers),
            },
        ),
    }[provider]
    sandbox.plan(provider, operations={operation: {"hang": 1, "hang_ms": 600, "effect": "late"}})
    statuses: list[int] = []

    def send() -> None:
        statuses.append(httpx.post(f"{sandbox.url}{path}", timeout=30, **sent).status_code)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses[0] == 409
    assert statuses[1] in {200, 201}
