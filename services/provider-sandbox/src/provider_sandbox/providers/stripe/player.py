"""Stripe as one provider: routes, keys, signatures, statement."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping

from provider_sandbox.core.provider import (
    Answer,
    Call,
    Guard,
    Headers,
    Page,
    Provider,
    Refused,
    Route,
)
from provider_sandbox.core.statements import Line
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe import (
    balance,
    cards,
    charging,
    checkout,
    disputes,
    events,
    hosted,
    payment_intents,
    refunds,
)
from provider_sandbox.providers.stripe.wire import (
    body_of,
    error,
    expansions,
    find,
    headers_of,
    listed,
    ok,
    take,
)

KEY_LIFETIME_S = 86_400
_LONGEST_KEY = 255


def _read(kind: str) -> Callable[[Call], Answer]:
    def read(call: Call) -> Answer:
        take(call)
        return ok(call, find(call, kind, call.ids["id"]))

    return read


def _list(kind: str, **filters: str) -> Callable[[Call], Answer]:
    return lambda call: listed(call, kind, **filters)


_INTENT = "/v1/payment_intents"
ROUTES = (
    Route("POST", _INTENT, "payment_intents.create", payment_intents.create),
    Route("GET", _INTENT, "payment_intents.list", _list("payment_intent", customer="customer")),
    Route("GET", f"{_INTENT}/search", "payment_intents.search", payment_intents.search),
    Route("GET", f"{_INTENT}/{{id}}", "payment_intents.retrieve", payment_intents.read),
    Route("POST", f"{_INTENT}/{{id}}", "payment_intents.update", payment_intents.update),
    Route("POST", f"{_INTENT}/{{id}}/confirm", "payment_intents.confirm", payment_intents.confirm),
    Route("POST", f"{_INTENT}/{{id}}/capture", "payment_intents.capture", payment_intents.capture),
    Route("POST", f"{_INTENT}/{{id}}/cancel", "payment_intents.cancel", payment_intents.cancel),
    Route(
        "POST",
        "/v1/payment_methods",
        "payment_methods.create",
        lambda call: ok(call, cards.create(call)),
    ),
    Route(
        "GET",
        "/v1/payment_methods/{id}",
        "payment_methods.retrieve",
        lambda call: ok(call, cards.named(call, call.ids["id"])),
    ),
    Route("GET", "/v1/charges", "charges.list", _list("charge", payment_intent="payment_intent")),
    Route("GET", "/v1/charges/{id}", "charges.retrieve", _read("charge")),
    Route("POST", "/v1/refunds", "refunds.create", refunds.create),
    Route(
        "GET",
        "/v1/refunds",
        "refunds.list",
        _list("refund", payment_intent="payment_intent", charge="charge"),
    ),
    Route("GET", "/v1/refunds/{id}", "refunds.retrieve", refunds.read),
    Route(
        "GET",
        "/v1/disputes",
        "disputes.list",
        _list("dispute", payment_intent="payment_intent", charge="charge"),
    ),
    Route("GET", "/v1/disputes/{id}", "disputes.retrieve", disputes.read),
    Route("POST", "/v1/disputes/{id}", "disputes.update", disputes.update),
    Route("POST", "/v1/disputes/{id}/close", "disputes.close", disputes.close),
    Route("GET", "/v1/balance", "balance.retrieve", balance.read_balance),
    Route(
        "GET",
        "/v1/balance_transactions",
        "balance_transactions.list",
        _list("balance_transaction", type="type", source="source", currency="currency"),
    ),
    Route(
        "GET",
        "/v1/balance_transactions/{id}",
        "balance_transactions.retrieve",
        balance.read_transaction,
    ),
    Route("POST", "/v1/payouts", "payouts.create", balance.create_payout),
    Route("GET", "/v1/payouts", "payouts.list", _list("payout", status="status")),
    Route("GET", "/v1/payouts/{id}", "payouts.retrieve", balance.read_payout),
    Route("POST", "/v1/payouts/{id}/cancel", "payouts.cancel", balance.cancel_payout),
    Route("POST", "/v1/checkout/sessions", "checkout.sessions.create", checkout.create),
    Route(
        "GET",
        "/v1/checkout/sessions",
        "checkout.sessions.list",
        _list("checkout.session", payment_intent="payment_intent"),
    ),
    Route("GET", "/v1/checkout/sessions/{id}", "checkout.sessions.retrieve", checkout.read),
    Route("POST", "/v1/checkout/sessions/{id}/expire", "checkout.sessions.expire", checkout.expire),
    Route("GET", "/v1/events", "events.list", _list("event", type="type")),
    Route("GET", "/v1/events/{id}", "events.retrieve", events.read_event),
    Route("POST", "/v1/webhook_endpoints", "webhook_endpoints.create", events.create_endpoint),
    Route("GET", "/v1/webhook_endpoints", "webhook_endpoints.list", events.list_endpoints),
    Route("GET", "/v1/webhook_endpoints/{id}", "webhook_endpoints.retrieve", events.read_endpoint),
    Route(
        "DELETE", "/v1/webhook_endpoints/{id}", "webhook_endpoints.delete", events.delete_endpoint
    ),
)


class Stripe(Provider):
    """Keys of 24 hours that remember even a 500; signatures over time and body."""

    name = "stripe"
    title = "Stripe"
    routes = ROUTES
    keeps_failures = True
    retries_s = (60, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 86_400)

    def admit(self, call: Call) -> None:
        """A secret test key, as bearer or as the user name of basic authentication."""
        if not _secret_of(call).startswith("sk_test_"):
            message = "Invalid API Key provided. The sandbox takes keys that begin with sk_test_."
            raise Refused(error(call, 401, "invalid_request_error", message))
        call.params = body_of(call)
        expansions(call)

    def guard(self, call: Call) -> Guard | None:
        """The header of a POST."""
        key = call.headers.get("idempotency-key")
        if call.method != "POST" or not key:
            return None
        if len(key) > _LONGEST_KEY:
            message = f"Idempotency keys have at most {_LONGEST_KEY} characters."
            raise Refused(error(call, 400, "invalid_request_error", message))
        text = json.dumps([call.path, call.params], sort_keys=True)
        return Guard(key, hashlib.sha256(text.encode()).hexdigest(), KEY_LIFETIME_S)

    def repeat(self, call: Call, guard: Guard, record: Document) -> Answer:
        """The very same answer, or an error where the parameters differ."""
        if record["fingerprint"] != guard.fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were "
                "first used with. Try using a key other than "
                f"'{guard.key}' if you meant to execute a different request."
            )
            return error(call, 400, "idempotency_error", message)
        headers = headers_of(call) | {"Idempotent-Replayed": "true", "Idempotency-Key": guard.key}
        return Answer(record["status"], record["body"], headers)

    def failure(self, call: Call, status: int) -> Answer:
        """Stripe's words."""
        if status == 404:
            message = f"Unrecognized request URL ({call.method}: {call.path})."
            return error(call, 404, "invalid_request_error", message)
        if status == 409:
            message = "There is currently another in-progress request using this Idempotency Key."
            code = "idempotency_key_in_use"
            return error(call, 409, "idempotency_error", message, code=code)
        if status == 429:
            message = "Request rate limit exceeded."
            return error(call, 429, "invalid_request_error", message, code="rate_limit")
        message = "Sorry! There was an error on our end; the sandbox was told to have one."
        return error(call, status, "api_error", message)

    def endpoints(self, world: World, event: Document) -> list[Document]:
        return events.endpoints(world, event)

    def message(self, _world: World, _endpoint: Document, event: Document) -> bytes:
        return events.message(event)

    def sign(self, world: World, endpoint: Document, _event: Document, body: bytes) -> Headers:
        return events.sign(world, endpoint, body)

    def page(self, world: World, key: str) -> Page | None:
        return hosted.page(world, key)

    def choose(self, world: World, key: str, form: Mapping[str, str]) -> str | Page:
        return hosted.choose(world, key, form)

    def row(self, line: Line) -> dict[str, str]:
        return balance.row(line)

    def actions(self) -> Mapping[str, Callable[[World, Document], None]]:
        return {
            "authorisation_ends": charging.authorisation_ends,
            "payout_arrives": balance.arrive,
            "refund_fails": refunds.refund_fails,
            "evidence_ends": disputes.evidence_ends,
            "session_ends": checkout.session_ends,
        }

    def simulations(self) -> Mapping[str, Callable[[World, Document], Document]]:
        return {"dispute": disputes.simulate}


def _secret_of(call: Call) -> str:
    kind, _, value = call.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return value
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


provider = Stripe()
