"""The page where a person pays or does not: by forms alone, as a browser without scripts sends."""

import re

import httpx
import pytest
import stripe

from .conftest import Sandbox

RETURN = "https://shop.test/back"


def post(sandbox: Sandbox, url: str, **form: str) -> httpx.Response:
    return sandbox.http.post(url, data=form)


def waiting(sandbox: Sandbox) -> tuple[stripe.StripeClient, stripe.PaymentIntent]:
    client = sandbox.stripe()
    intent = client.v1.payment_intents.create(
        {
            "amount": 12_345,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": RETURN,
            "description": "<b>Two days</b>",
        }
    )
    assert intent.status == "requires_action"
    return client, intent


def test_the_page_says_what_is_paid_needs_no_script_and_shows_text_as_text(
    sandbox: Sandbox,
) -> None:
    _, intent = waiting(sandbox)
    page = sandbox.http.get(intent.next_action.redirect_to_url.url)
    assert page.status_code == 200
    assert "123.45 USD" in page.text
    assert "<script" not in page.text
    assert "&lt;b&gt;Two days&lt;/b&gt;" in page.text
    assert 'name="viewport"' in page.text
    assert "prefers-color-scheme: dark" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("choice", "status", "back"),
    [
        ("authenticate", "succeeded", "redirect_status=succeeded"),
        ("refuse", "requires_payment_method", "redirect_status=failed"),
    ],
)
def test_a_person_answers_the_bank_and_comes_back(sandbox, choice, status, back) -> None:
    client, intent = waiting(sandbox)
    answer = post(sandbox, intent.next_action.redirect_to_url.url, choice=choice)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(RETURN)
    assert back in answer.headers["location"]
    assert client.v1.payment_intents.retrieve(intent.id).status == status


def test_a_checkout_session_is_paid_with_the_second_card(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    price = {"currency": "usd", "unit_amount": 4_000, "product_data": {"name": "Invoice"}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 2}],
            "success_url": f"{RETURN}?session={{CHECKOUT_SESSION_ID}}",
            "cancel_url": "https://shop.test/no",
            "payment_intent_data": {"metadata": {"reference": "INV-1"}},
        }
    )
    declined = post(sandbox, session.url, choice="pay", number="4000 0000 0000 0002")
    assert (declined.status_code, "Your card was declined." in declined.text) == (422, True)
    wrong = post(sandbox, session.url, choice="pay", number="1234")
    assert "Your card number is incorrect." in wrong.text
    paid = post(sandbox, session.url, choice="pay", number="4242 4242 4242 4242")
    assert paid.headers["location"] == f"{RETURN}?session={session.id}"
    done = client.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert sandbox.truth()["references"]["INV-1"]["captured_minor"] == 8_000
    again = post(sandbox, session.url, choice="pay", number="4242 4242 4242 4242")
    assert again.status_code in {200, 303}
    assert sandbox.truth()["count"] == 1


def test_a_checkout_session_runs_out(sandbox: Sandbox) -> None:
    client = sandbox.stripe()
    price = {"currency": "usd", "unit_amount": 4_000, "product_data": {"name": "Invoice"}}
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "success_url": RETURN,
        }
    )
    sandbox.advance(86_400)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    late = post(sandbox, session.url, choice="pay", number="4242 4242 4242 4242")
    assert "expired" in late.text
    assert sandbox.truth()["count"] == 0


@pytest.mark.parametrize(
    ("choice", "place", "status", "capture"),
    [
        ("approve", "https://shop.test/back?token=", "APPROVED", 201),
        ("decline", "https://shop.test/back?token=", "APPROVED", 422),
        ("cancel", "https://shop.test/no?token=", "CREATED", 422),
    ],
)
def test_a_payer_approves_at_paypal_or_does_not(sandbox, choice, place, status, capture) -> None:
    client = sandbox.paypal()
    unit = {"amount": {"currency_code": "USD", "value": "10.00"}}
    context = {"return_url": RETURN, "cancel_url": "https://shop.test/no"}
    body = {"intent": "CAPTURE", "purchase_units": [unit], "application_context": context}
    order = client.post("/v2/checkout/orders", json=body).json()
    [approve] = [link["href"] for link in order["links"] if link["rel"] == "approve"]
    assert "10.00 USD" in sandbox.http.get(approve).text
    answer = post(sandbox, approve, choice=choice)
    assert answer.headers["location"].startswith(place + order["id"])
    path = f"/v2/checkout/orders/{order['id']}"
    assert client.get(path).json()["status"] == status
    assert client.post(f"{path}/capture").status_code == capture


def test_a_person_with_a_wallet_sends_what_they_typed(sandbox: Sandbox) -> None:
    client = sandbox.circle()
    body = {
        "idempotencyKey": "7f3d2a54-8f0e-4c58-9d53-0d3d3a0a7c11",
        "amount": {"amount": "10.00", "currency": "USD"},
        "settlementCurrency": "USD",
        "paymentMethods": [{"type": "blockchain", "chain": "ETH"}],
    }
    intent = client.post("/v1/paymentIntents", json=body).json()["data"]
    url = f"{sandbox.url}/pages/circle/{intent['id']}"
    assert "<button" not in sandbox.http.get(url).text
    sandbox.advance(3)
    [proposed] = re.findall(r'name="amount" value="([^"]*)"', sandbox.http.get(url).text)
    assert proposed == "10.00"
    assert post(sandbox, url, choice="send", amount="ten").status_code == 422
    assert "Sent 9.50 USD" in post(sandbox, url, choice="send", amount="9.50").text
    sandbox.advance(20)
    there = client.get(f"/v1/paymentIntents/{intent['id']}").json()["data"]
    assert there["amountPaid"]["amount"] == "9.50"


@pytest.mark.parametrize("path", ["/pages/stripe/pi_none", "/pages/paypal/X", "/pages/who/X"])
def test_a_page_of_nothing_says_so(sandbox: Sandbox, path: str) -> None:
    for answer in (sandbox.http.get(path), sandbox.http.post(path, data={"choice": "pay"})):
        assert answer.status_code == 404
        assert "The link is wrong or too old." in answer.text
