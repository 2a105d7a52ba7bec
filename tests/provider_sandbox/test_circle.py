"""Circle, checked against the description in its npm package where that can be had."""

import base64
import json
import uuid

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from .conftest import Receiver, Sandbox
from .specs import circle_conforms

DAY = 86_400
MASTER = "1000000001"


def key() -> str:
    return str(uuid.uuid4())


def usd(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def intent(client: httpx.Client, **more) -> httpx.Response:
    body = {
        "idempotencyKey": key(),
        "amount": usd("100.00"),
        "settlementCurrency": "USD",
        "paymentMethods": [{"type": "blockchain", "chain": "ETH"}],
    }
    return client.post("/v1/paymentIntents", json=body | more)


def paid(sandbox: Sandbox, client: httpx.Client, cents: int = 10_000) -> dict:
    made = intent(client).json()["data"]
    sandbox.advance(3)
    there = client.get(f"/v1/paymentIntents/{made['id']}").json()["data"]
    address = there["paymentMethods"][0]["address"]
    sandbox.simulate("circle", "deposit", address=address, amount=cents)
    sandbox.advance(20)
    return client.get(f"/v1/paymentIntents/{made['id']}").json()["data"]


def funded(sandbox: Sandbox, client: httpx.Client) -> str:
    bank = {
        "idempotencyKey": key(),
        "accountNumber": "12340010",
        "routingNumber": "121000248",
        "billingDetails": {
            "name": "Babbage & Co",
            "city": "Boston",
            "country": "US",
            "line1": "100 Money Street",
            "district": "MA",
            "postalCode": "01234",
        },
        "bankAddress": {"bankName": "SAN FRANCISCO", "country": "US"},
    }
    path = "/v1/businessAccount/banks/wires"
    wire = circle_conforms(client.post(path, json=bank), path)
    sandbox.advance(61)
    tracking = {"trackingRef": wire["trackingRef"], "amount": usd("500.00")}
    assert client.post("/v1/mocks/payments/wire", json=tracking).status_code == 201
    sandbox.advance(301)
    return wire["id"]


def test_a_payment_intent_gets_its_address_is_paid_and_given_back(sandbox: Sandbox) -> None:
    client = sandbox.circle()
    made = circle_conforms(intent(client), "/v1/paymentIntents")
    path = f"/v1/paymentIntents/{made['id']}"
    assert "address" not in made["paymentMethods"][0]
    sandbox.advance(3)
    waiting = circle_conforms(client.get(path), "/v1/paymentIntents/{id}")
    assert waiting["timeline"][0]["status"] == "pending"
    address = waiting["paymentMethods"][0]["address"]
    for cents in (4_000, 7_000):
        sandbox.simulate("circle", "deposit", address=address, amount=cents)
        sandbox.advance(20)
    done = circle_conforms(client.get(path), "/v1/paymentIntents/{id}")
    assert done["amountPaid"] == usd("110.00")
    assert (done["timeline"][0]["status"], done["timeline"][0]["context"]) == (
        *("complete", "overpaid"),
    )
    payment = client.get(f"/v1/payments/{done['paymentIds'][0]}").json()["data"]
    assert (payment["status"], payment["settlementAmount"]) == ("paid", usd("39.60"))

    back = {
        "idempotencyKey": key(),
        "destination": {"address": "0x" + "1" * 40, "chain": "ETH"},
        "amount": {"currency": "USD"},
        "toAmount": usd("100.00"),
    }
    refund = circle_conforms(
        client.post(f"{path}/refund", json=back), "/v1/paymentIntents/{id}/refund"
    )
    above = back | {"idempotencyKey": key(), "toAmount": usd("10.01")}
    assert client.post(f"{path}/refund", json=above).status_code == 400
    sandbox.advance(20)
    assert client.get(f"/v1/payments/{refund['id']}").json()["data"]["status"] == "paid"
    told = next(iter(sandbox.truth()["references"].values()))
    assert (told["captured_minor"], told["refunded_minor"]) == (11_000, 10_000)
    assert sandbox.truth()["double_captures"] == []


def test_an_intent_that_nobody_pays_expires_by_the_clock(sandbox: Sandbox) -> None:
    client = sandbox.circle()
    made = intent(client).json()["data"]
    sandbox.advance(8 * 3600)
    there = circle_conforms(
        client.get(f"/v1/paymentIntents/{made['id']}"), "/v1/paymentIntents/{id}"
    )
    assert there["timeline"][0]["status"] == "expired"


def test_a_continuous_intent_stays_active_and_takes_payment_after_payment(
    sandbox: Sandbox,
) -> None:
    client = sandbox.circle()
    body = {
        "idempotencyKey": key(),
        "type": "continuous",
        "currency": "USD",
        "settlementCurrency": "USD",
        "paymentMethods": [{"type": "blockchain", "chain": "ETH"}],
    }
    made = client.post("/v1/paymentIntents", json=body).json()["data"]
    sandbox.advance(3)
    path = f"/v1/paymentIntents/{made['id']}"
    address = client.get(path).json()["data"]["paymentMethods"][0]["address"]
    for _ in range(2):
        sandbox.simulate("circle", "deposit", address=address, amount=500)
        sandbox.advance(20)
    there = client.get(path).json()["data"]
    assert (there["timeline"][0]["status"], there["amountPaid"]) == ("active", usd("10.00"))


def test_dollars_are_minted_moved_and_redeemed(sandbox: Sandbox) -> None:
    client = sandbox.circle()
    wire = funded(sandbox, client)
    balances = "/v1/businessAccount/balances"
    assert circle_conforms(client.get(balances), balances)["available"] == [usd("500.00")]

    wallet = circle_conforms(
        client.post("/v1/wallets", json={"idempotencyKey": key()}), "/v1/wallets"
    )
    for target, amount in (
        ({"type": "wallet", "id": wallet["walletId"]}, "50.00"),
        ({"type": "blockchain", "address": "0x" + "2" * 40, "chain": "ETH"}, "30.00"),
        ({"type": "blockchain", "address": "0x" + "2" * 40, "chain": "ETH"}, "9000.00"),
    ):
        body = {
            "idempotencyKey": key(),
            "source": {"type": "wallet", "id": MASTER},
            "destination": target,
            "amount": usd(amount),
        }
        circle_conforms(client.post("/v1/transfers", json=body), "/v1/transfers")
    payout = {
        "idempotencyKey": key(),
        "destination": {"type": "wire", "id": wire},
        "amount": usd("100.00"),
    }
    path = "/v1/businessAccount/payouts"
    circle_conforms(client.post(path, json=payout), path)
    sandbox.advance(DAY)
    transfers = circle_conforms(client.get("/v1/transfers"), "/v1/transfers")
    assert [one["status"] for one in transfers] == ["failed", "complete", "complete"]
    assert transfers[0]["errorCode"] == "insufficient_funds"
    [redeemed] = circle_conforms(client.get(path), path)
    assert redeemed["status"] == "complete"
    assert client.get(balances).json()["data"]["available"] == [usd("320.00")]
    settled = circle_conforms(client.get("/v1/settlements"), "/v1/settlements")
    assert settled[-1]["totalCredits"] == usd("500.00")
    assert settled[0]["totalDebits"] == usd("100.00")


@pytest.mark.parametrize("wrong", ["", "not-a-uuid", "84b0a600-e523-11f1-8abf-02fc00000001", None])
def test_a_key_that_is_no_uuid_of_version_4_is_refused(sandbox: Sandbox, wrong) -> None:
    answer = intent(sandbox.circle(), idempotencyKey=wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, 2)


def test_a_notification_is_proved_by_the_key_of_its_id(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    client = sandbox.circle()
    wanted = {"endpoint": receiver.url, "notificationTypes": ["payments"]}
    assert client.post("/v2/notifications/subscriptions", json=wanted).status_code == 201
    paid(sandbox, client)
    headers, body = receiver.taken[-1]
    found = client.get(f"/v2/notifications/publicKey/{headers['x-circle-key-id']}").json()["data"]
    public = serialization.load_der_public_key(base64.b64decode(found["publicKey"]))
    signature = base64.b64decode(headers["x-circle-signature"])
    public.verify(signature, body, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(signature, body + b" ", ec.ECDSA(hashes.SHA256()))
    assert json.loads(body)["notification"]["status"] == "paid"
    assert {json.loads(b)["notificationType"] for b in receiver.bodies()} == {"payments"}


def test_sns_asks_for_a_confirmation_first_and_signs_its_envelope(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    client = sandbox.circle()
    path = "/v1/notifications/subscriptions"
    made = circle_conforms(client.post(path, json={"endpoint": receiver.url}), path)
    intent(client)
    sandbox.ok("POST", "/sandbox/deliveries/send")
    [(headers, first)] = receiver.taken
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    asked = json.loads(first)
    assert httpx.get(asked["SubscribeURL"], trust_env=False).status_code == 200
    [listed] = circle_conforms(client.get(path), path)
    assert listed["id"] == made["id"]
    assert listed["subscriptionDetails"][0]["status"] == "confirmed"

    intent(client)
    sandbox.ok("POST", "/sandbox/deliveries/send")
    envelope = json.loads(receiver.bodies()[1])
    pem = httpx.get(envelope["SigningCertURL"], trust_env=False).content
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
    x509.load_pem_x509_certificate(pem).public_key().verify(
        base64.b64decode(envelope["Signature"]), text, padding.PKCS1v15(), hashes.SHA256()
    )
    told = json.loads(envelope["Message"])
    assert told["notificationType"] == "paymentIntents"
    assert told["paymentIntent"]["timeline"][0]["status"] == "created"
