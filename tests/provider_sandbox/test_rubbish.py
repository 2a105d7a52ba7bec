"""Whatever is sent, a provider answers in its own words and never falls over."""

import json
from typing import Any

import pytest

from provider_sandbox.core.provider import discover

from .conftest import Sandbox

WORDS: list[Any] = [
    [],
    "text",
    {
        "amount": 1,
        "items": 1,
        "purchase_units": ["x"],
        "sender_batch_header": {},
        "intent": "CAPTURE",
    },
    {
        "idempotencyKey": "7f3d2a54-8f0e-4c58-9d53-0d3d3a0a7c11",
        "amount": {"amount": 5, "currency": "USD"},
        "paymentMethods": ["x"],
        "source": [],
        "destination": "x",
        "toAmount": None,
        "billingDetails": 7,
        "accountNumber": "12345",
        "endpoint": 5,
    },
    {
        "intent": "CAPTURE",
        "purchase_units": [{"amount": {"currency_code": "USD", "value": "1.00"}}],
        "application_context": "x",
        "payment_source": 3,
        "event_types": ["x"],
        "url": "http://shop.test",
        "webhook_event": 1,
        "items": [{"receiver": "a", "amount": "1"}],
        "sender_batch_header": {"sender_batch_id": []},
    },
]
FORMS = [
    b"a[b]=1&a=2",
    b"amount=5000&currency=usd&metadata=x&payment_method_data=x&confirm=true",
    b"amount=5000&currency=usd&payment_method_data[card]=x&confirm=true&expand[]=a.b",
    b"mode=payment&success_url=x&line_items[0]=x&payment_intent_data[metadata]=x",
    b"mode=payment&success_url=x&line_items[0][price_data]=x&line_items[0][quantity]=-1",
    b"type=card&card[number]=x&evidence[a]=1&url=http://shop.test&enabled_events[]=*",
    b"\xff\xfe=%00&%zz",
]
QUERIES = ["?limit=x&created[gte]=x&starting_after=x&page=x&page_size=x&pageSize=x", "?from=x&to=y"]


@pytest.mark.parametrize("provider", ["stripe", "paypal", "circle"])
def test_rubbish_is_refused_by_every_operation(sandbox: Sandbox, provider: str) -> None:
    client = {
        "stripe": lambda: sandbox._client("stripe", "sk_test_1"),
        "paypal": sandbox.paypal,
        "circle": sandbox.circle,
    }[provider]()
    bodies = FORMS if provider == "stripe" else [*map(json.dumps, WORDS), b"{", b"\xff", b""]
    kind = "application/x-www-form-urlencoded" if provider == "stripe" else "application/json"
    fell_over = []
    for route in discover()[provider].routes:
        path = route.path.replace("{id}", "none")
        tries: list[tuple[str, Any]] = [(path + query, None) for query in QUERIES]
        if route.method != "GET":
            tries = [(path, body) for body in bodies]
        for url, body in tries:
            headers = {"Content-Type": kind}
            answer = client.request(route.method, url, content=body, headers=headers)
            if answer.status_code >= 500:
                fell_over.append((route.operation, body, answer.status_code))
            elif answer.content and "json" in answer.headers["content-type"]:
                answer.json()
    assert fell_over == []
    assert sandbox.truth()["count"] == 0
