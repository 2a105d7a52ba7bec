"""PayPal, checked against its own published descriptions where these are at hand."""

import base64
import binascii
import json
import re

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from .conftest import Receiver, Sandbox
from .specs import conforms

ORDERS, PAYMENTS, PAYOUTS = (
    "checkout_orders_v2",
    "payments_payment_v2",
    "payments_payouts_batch_v1",
)
WHOLE = {"Prefer": "return=representation"}


def order(client: httpx.Client, intent: str = "CAPTURE", **headers: str) -> httpx.Response:
    unit = {
        "amount": {"currency_code": "USD", "value": "100.00"},
        "custom_id": "INV-1",
        "description": "Two days of consulting",
    }
    context = {"return_url": "https://shop.test/back", "cancel_url": "https://shop.test/no"}
    body = {"intent": intent, "purchase_units": [unit], "application_context": context}
    return client.post("/v2/checkout/orders", json=body, headers=headers)


def captured(sandbox: Sandbox, client: httpx.Client) -> str:
    made = order(client).json()
    sandbox.simulate("paypal", "approve", order=made["id"])
    done = client.post(f"/v2/checkout/orders/{made['id']}/capture", json={}).json()
    return done["purchase_units"][0]["payments"]["captures"][0]["id"]


def test_an_order_is_approved_captured_and_given_back_in_paypals_own_shapes(
    sandbox: Sandbox,
) -> None:
    client = sandbox.paypal()
    made = conforms(ORDERS, order(client, **WHOLE))
    path = f"/v2/checkout/orders/{made['id']}"
    assert [link["rel"] for link in made["links"]] == ["self", "approve", "update", "capture"]

    early = conforms(ORDERS, client.post(f"{path}/capture", json={}))
    assert early["details"][0]["issue"] == "ORDER_NOT_APPROVED"
    sandbox.simulate("paypal", "approve", order=made["id"])
    done = conforms(ORDERS, client.post(f"{path}/capture", json={}, headers=WHOLE))
    assert conforms(ORDERS, client.get(path)) == done
    taken = done["purchase_units"][0]["payments"]["captures"][0]
    assert taken["seller_receivable_breakdown"]["net_amount"]["value"] == "96.02"
    again = conforms(ORDERS, client.post(f"{path}/capture", json={}))
    assert again["details"][0]["issue"] == "ORDER_ALREADY_CAPTURED"

    capture = f"/v2/payments/captures/{taken['id']}"
    part = {"amount": {"currency_code": "USD", "value": "30.00"}}
    refund = conforms(PAYMENTS, client.post(f"{capture}/refund", json=part, headers=WHOLE))
    assert refund["seller_payable_breakdown"]["total_refunded_amount"]["value"] == "30.00"
    conforms(PAYMENTS, client.get(f"/v2/payments/refunds/{refund['id']}"))
    above = {"amount": {"currency_code": "USD", "value": "70.01"}}
    refused = conforms(PAYMENTS, client.post(f"{capture}/refund", json=above))
    assert refused["details"][0]["issue"] == "REFUND_AMOUNT_EXCEEDED"
    assert conforms(PAYMENTS, client.get(capture))["status"] == "PARTIALLY_REFUNDED"
    told = sandbox.truth("INV-1")["references"]["INV-1"]
    assert (told["captured_minor"], told["refunded_minor"]) == (10_000, 3_000)


def test_an_authorisation_is_captured_in_parts_and_runs_out(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    held = []
    for _ in range(2):
        made = order(client, "AUTHORIZE").json()
        sandbox.simulate("paypal", "approve", order=made["id"])
        path = f"/v2/checkout/orders/{made['id']}/authorize"
        done = conforms(ORDERS, client.post(path, json={}, headers=WHOLE))
        payments = done["purchase_units"][0]["payments"]
        held.append(f"/v2/payments/authorizations/{payments['authorizations'][0]['id']}")
    part = {"amount": {"currency_code": "USD", "value": "40.00"}}
    conforms(PAYMENTS, client.post(f"{held[0]}/capture", json=part))
    assert conforms(PAYMENTS, client.get(held[0]))["status"] == "PARTIALLY_CAPTURED"
    conforms(PAYMENTS, client.post(f"{held[0]}/capture", json=part | {"final_capture": True}))
    late = conforms(PAYMENTS, client.post(f"{held[0]}/capture", json=part))
    assert late["details"][0]["issue"] == "AUTHORIZATION_ALREADY_CAPTURED"
    sandbox.advance(30 * 86_400)
    client = sandbox.paypal()
    assert conforms(PAYMENTS, client.get(held[1]))["status"] == "VOIDED"


def test_a_payout_batch_pays_each_item_once(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    receivers = ["a@example.test", "unclaimed@example.test", "fail@example.test"]
    body = {
        "sender_batch_header": {"sender_batch_id": "batch-1", "email_subject": "Paid"},
        "items": [
            {
                "recipient_type": "EMAIL",
                "receiver": receiver,
                "amount": {"value": "12.50", "currency": "USD"},
                "sender_item_id": f"line-{place}",
            }
            for place, receiver in enumerate(receivers)
        ],
    }
    made = conforms(PAYOUTS, client.post("/v1/payments/payouts", json=body))
    again = client.post("/v1/payments/payouts", json=body)
    assert (again.status_code, again.json()["name"]) == (400, "USER_BUSINESS_ERROR")
    sandbox.advance(10)
    path = f"/v1/payments/payouts/{made['batch_header']['payout_batch_id']}"
    done = conforms(PAYOUTS, client.get(path))
    assert done["batch_header"]["batch_status"] == "SUCCESS"
    statuses = [item["transaction_status"] for item in done["items"]]
    assert statuses == ["SUCCESS", "UNCLAIMED", "FAILED"]
    unclaimed = f"/v1/payments/payouts-item/{done['items'][1]['payout_item_id']}"
    conforms(PAYOUTS, client.post(f"{unclaimed}/cancel"))
    assert conforms(PAYOUTS, client.get(unclaimed))["transaction_status"] == "RETURNED"
    told = sandbox.truth()
    assert told["references"]["line-0"]["paid_out_minor"] == 1250
    assert "line-2" not in told["references"]
    assert told["double_payouts"] == []


@pytest.mark.parametrize(
    ("change", "issue"),
    [
        ({"intent": None}, "MISSING_REQUIRED_PARAMETER"),
        ({"intent": "BUY"}, "INVALID_PARAMETER_VALUE"),
        ({"purchase_units": None}, "MISSING_REQUIRED_PARAMETER"),
        ({"purchase_units": [{"amount": {"currency_code": "USD", "value": 5}}]}, "SYNTAX"),
        ({"purchase_units": [{"amount": {"currency_code": "JPY", "value": "1.5"}}]}, "PRECISION"),
        ({"purchase_units": [{"amount": {"currency_code": "USD", "value": "0.00"}}]}, "ZERO"),
    ],
)
def test_a_wrong_order_is_refused_in_paypals_words(sandbox, change, issue) -> None:
    unit = {"amount": {"currency_code": "USD", "value": "1.00"}}
    body = {"intent": "CAPTURE", "purchase_units": [unit]} | change
    answer = sandbox.paypal().post("/v2/checkout/orders", json=body)
    assert answer.status_code in {400, 422}
    assert issue in conforms(ORDERS, answer)["details"][0]["issue"]


def test_a_token_is_needed_and_expires(sandbox: Sandbox) -> None:
    wrong = sandbox.http.post("/paypal/v1/oauth2/token", auth=("who", "knows"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    client = sandbox.paypal()
    assert client.get("/v2/checkout/orders/NONE").status_code == 404
    sandbox.advance(32_401)
    assert client.get("/v2/checkout/orders/NONE").status_code == 401


def test_a_second_payment_of_an_invoice_is_refused(sandbox: Sandbox) -> None:
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "1.00"}, "invoice_id": "INV-7"}
    answers = []
    for _ in range(2):
        body = {"intent": "CAPTURE", "purchase_units": [unit]}
        made = client.post("/v2/checkout/orders", json=body).json()
        sandbox.simulate("paypal", "approve", order=made["id"])
        answers.append(client.post(f"/v2/checkout/orders/{made['id']}/capture"))
    assert [answer.status_code for answer in answers] == [201, 422]
    assert answers[1].json()["details"][0]["issue"] == "DUPLICATE_INVOICE_ID"


def test_a_webhook_is_proved_by_its_certificate_and_by_the_verify_endpoint(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    client = sandbox.paypal()
    wanted = {"url": receiver.url, "event_types": [{"name": "PAYMENT.CAPTURE.COMPLETED"}]}
    webhook = client.post("/v1/notifications/webhooks", json=wanted).json()
    captured(sandbox, client)
    sandbox.ok("POST", "/sandbox/deliveries/send")
    [(headers, body)] = receiver.taken
    parts = [headers[f"paypal-transmission-{name}"] for name in ("id", "time", "sig")]
    text = f"{parts[0]}|{parts[1]}|{webhook['id']}|{binascii.crc32(body)}".encode()
    pem = httpx.get(headers["paypal-cert-url"], trust_env=False).content
    key = x509.load_pem_x509_certificate(pem).public_key()
    signature = base64.b64decode(parts[2])
    key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        key.verify(signature, text + b"0", padding.PKCS1v15(), hashes.SHA256())

    claim = {
        "auth_algo": headers["paypal-auth-algo"],
        "cert_url": headers["paypal-cert-url"],
        "transmission_id": parts[0],
        "transmission_time": parts[1],
        "transmission_sig": parts[2],
        "webhook_id": webhook["id"],
        "webhook_event": json.loads(body),
    }
    path = "/v1/notifications/verify-webhook-signature"
    said = conforms("notifications_webhooks_v1", client.post(path, json=claim))
    assert said == {"verification_status": "SUCCESS"}
    forged = claim | {"webhook_event": claim["webhook_event"] | {"summary": "Paid twice"}}
    assert client.post(path, json=forged).json() == {"verification_status": "FAILURE"}

    event = claim["webhook_event"]["id"]
    sent = client.post(f"/v1/notifications/webhooks-events/{event}/resend", json={})
    # The description's pattern of an event's id has no hyphen, its own examples and PayPal's have.
    conforms("notifications_webhooks_v1", sent, asked=False)
    made_up = {"event_type": "PAYMENT.CAPTURE.DENIED", "webhook_id": webhook["id"]}
    conforms(
        "notifications_webhooks_v1", client.post("/v1/notifications/simulate-event", json=made_up)
    )
    sandbox.ok("POST", "/sandbox/deliveries/send")
    assert [json.loads(b)["id"] == event for b in receiver.bodies()] == [True, True, False]


def test_the_debug_id_of_an_error_is_its_headers(sandbox: Sandbox) -> None:
    answer = sandbox.paypal().get("/v2/checkout/orders/NONE")
    assert answer.json()["debug_id"] == answer.headers["paypal-debug-id"]
    assert re.fullmatch("[0-9a-f]{13}", answer.json()["debug_id"])
