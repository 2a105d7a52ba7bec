"""PayPal as one provider: tokens, routes, lifetimes of request ids, page, statement."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial

from provider_sandbox.core.clock import iso_seconds, moment_of
from provider_sandbox.core.provider import (
    Answer,
    Call,
    Choice,
    Guard,
    Headers,
    Page,
    Provider,
    Refused,
    Route,
)
from provider_sandbox.core.statements import Line, stated
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import money_text
from provider_sandbox.providers.paypal import disputes, events, money, orders, payouts, withdrawals
from provider_sandbox.providers.paypal.wire import (
    WHOLE_ONLY,
    body_of,
    error,
    headers_of,
    malformed,
    money_of,
)

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105 - it guards nothing
TOKEN_LIFETIME_S = 32_400
_HOUR, _DAY = 3600, 86_400
LIFETIMES_S = {
    "orders.create": 6 * _HOUR,
    "orders.authorize": 6 * _HOUR,
    "orders.capture": 6 * _HOUR,
    "authorizations.capture": 45 * _DAY,
    "captures.refund": 45 * _DAY,
    "payouts.create": 30 * _DAY,
}
_ORDERS, _NOTES = "/v2/checkout/orders", "/v1/notifications"
_HELD = "/v2/payments/authorizations/{id}"


def _token(call: Call) -> Answer:
    """A bearer token for the client's credentials."""
    kind, _, value = call.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(value, validate=True).decode()
    except ValueError:
        given = ""
    if kind.lower() != "basic" or given != f"{CLIENT_ID}:{CLIENT_SECRET}":
        refused = {"error": "invalid_client", "error_description": "Client Authentication failed"}
        return Answer(401, refused, headers_of(call))
    if b"grant_type=client_credentials" not in call.raw:
        wrong = {"error": "unsupported_grant_type", "error_description": "Grant Type is NULL"}
        return Answer(400, wrong, headers_of(call))
    token = f"A21AA{call.world.draw('paypal token').token(40)}"
    expires = call.world.now() + TOKEN_LIFETIME_S
    call.world.store.put("paypal token", token, {"expires": expires})
    body: Document = {
        "scope": "https://uri.paypal.com/services/payments/payment",
        "access_token": token,
        "token_type": "Bearer",
        "app_id": "APP-SANDBOX",
        "expires_in": TOKEN_LIFETIME_S,
        "nonce": iso_seconds(call.world.now()),
    }
    return Answer(200, body, headers_of(call))


def _transactions(call: Call) -> Answer:
    """The statement by the reporting API, with what was planted in it."""
    try:
        window = (moment_of(call.one("start_date")), moment_of(call.one("end_date")))
    except ValueError:
        description = "start_date and end_date are times of RFC 3339."
        raise malformed(call, "start_date", "INVALID_PARAMETER_VALUE", description) from None
    told = stated(call.world, "paypal", *window)
    size, page = call.one("page_size", "100"), call.one("page", "1")
    many = int(size) if size.isdigit() and 1 <= int(size) <= 500 else 100
    number = int(page) if page.isdigit() and int(page) else 1
    body = {
        "transaction_details": [
            {"transaction_info": _info(line)} for line in told[(number - 1) * many :][:many]
        ],
        "account_number": "SANDBOXMERCHANT",
        "start_date": call.one("start_date"),
        "end_date": call.one("end_date"),
        "last_refreshed_datetime": iso_seconds(call.world.now()),
        "page": number,
        "total_items": len(told),
        "total_pages": max(1, -(-len(told) // many)),
        "links": [],
    }
    return Answer(200, body, headers_of(call))


def _balances(call: Call) -> Answer:
    """What the account holds by the statement, as told."""
    held: dict[str, int] = {}
    for line in stated(call.world, "paypal", 0, call.world.now() + 1):
        if line.status != "D":
            held[line.currency] = held.get(line.currency, 0) + line.net_minor
    body = {
        "balances": [
            {
                "currency": currency,
                "primary": place == 0,
                "total_balance": money_of(minor, currency),
                "available_balance": money_of(minor, currency),
                "withheld_balance": money_of(0, currency),
            }
            for place, (currency, minor) in enumerate(sorted(held.items()))
        ],
        "account_id": "SANDBOXMERCHANT",
        "as_of_time": iso_seconds(call.world.now()),
        "last_refresh_time": iso_seconds(call.world.now()),
    }
    return Answer(200, body, headers_of(call))


def _info(line: Line) -> Document:
    return {
        "transaction_id": line.id,
        "transaction_event_code": line.kind,
        "transaction_initiation_date": iso_seconds(line.at),
        "transaction_updated_date": iso_seconds(line.at),
        "transaction_amount": money_of(line.gross_minor, line.currency),
        "fee_amount": money_of(-line.fee_minor, line.currency),
        "transaction_status": line.status,
        "custom_field": line.reference,
        "invoice_id": line.reference,
    }


ROUTES = (
    Route("POST", "/v1/oauth2/token", "token", _token, public=True),
    Route("GET", f"{_NOTES}/certs/{{id}}", "certificate", events.certificate, public=True),
    Route("POST", _ORDERS, "orders.create", orders.create),
    Route("GET", f"{_ORDERS}/{{id}}", "orders.get", orders.read),
    Route("PATCH", f"{_ORDERS}/{{id}}", "orders.patch", orders.update),
    Route("POST", f"{_ORDERS}/{{id}}/capture", "orders.capture", orders.capture),
    Route("POST", f"{_ORDERS}/{{id}}/authorize", "orders.authorize", orders.authorise),
    Route("GET", _HELD, "authorizations.get", partial(money.read, "authorization")),
    Route("POST", f"{_HELD}/capture", "authorizations.capture", money.capture_authorisation),
    Route("POST", f"{_HELD}/void", "authorizations.void", money.void_authorisation),
    Route("GET", "/v2/payments/captures/{id}", "captures.get", partial(money.read, "capture")),
    Route("POST", "/v2/payments/captures/{id}/refund", "captures.refund", money.refund_capture),
    Route("GET", "/v2/payments/refunds/{id}", "refunds.get", partial(money.read, "refund")),
    Route("POST", "/v1/payments/payouts", "payouts.create", payouts.create),
    Route("GET", "/v1/payments/payouts/{id}", "payouts.get", payouts.read),
    Route("GET", "/v1/payments/payouts-item/{id}", "payouts-item.get", payouts.read_item),
    Route(
        "POST",
        "/v1/payments/payouts-item/{id}/cancel",
        "payouts-item.cancel",
        payouts.cancel_item,
    ),
    Route("POST", f"{_NOTES}/webhooks", "webhooks.create", events.create),
    Route("GET", f"{_NOTES}/webhooks", "webhooks.list", events.list_webhooks),
    Route("GET", f"{_NOTES}/webhooks/{{id}}", "webhooks.get", events.read_webhook),
    Route("DELETE", f"{_NOTES}/webhooks/{{id}}", "webhooks.delete", events.delete_webhook),
    Route("POST", f"{_NOTES}/verify-webhook-signature", "webhooks.verify", events.verify),
    Route("GET", f"{_NOTES}/webhooks-events", "events.list", events.list_events),
    Route("GET", f"{_NOTES}/webhooks-events/{{id}}", "events.get", events.read_event),
    Route("POST", f"{_NOTES}/webhooks-events/{{id}}/resend", "events.resend", events.resend),
    Route("POST", f"{_NOTES}/simulate-event", "events.simulate", events.simulate),
    Route("GET", disputes.PATH, "disputes.list", disputes.listed),
    Route("GET", f"{disputes.PATH}/{{id}}", "disputes.get", disputes.read),
    Route("POST", f"{disputes.PATH}/{{id}}/accept-claim", "disputes.accept", disputes.accept),
    Route("POST", f"{disputes.PATH}/{{id}}/escalate", "disputes.escalate", disputes.escalate),
    Route("POST", f"{disputes.PATH}/{{id}}/adjudicate", "disputes.adjudicate", disputes.adjudicate),
    Route("GET", "/v1/reporting/balances", "balances.list", _balances),
    Route("GET", "/v1/reporting/transactions", "transactions.search", _transactions),
)


class PayPal(Provider):
    """Request ids whose lifetime differs by operation, and which answer the present state."""

    name = "paypal"
    title = "PayPal"
    routes = ROUTES
    retries_s = tuple(60 * 2**n for n in range(12)) + (21_600,) * 8

    def admit(self, call: Call) -> None:
        """A bearer token that has not expired; keys, certificates and tokens need none."""
        if call.operation in {"token", "certificate"}:
            return
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        known = call.world.store.find("paypal token", token)
        if kind.lower() != "bearer" or known is None or known["expires"] <= call.world.now():
            body = {
                "error": "invalid_token",
                "error_description": "Token signature verification failed",
                "name": "AUTHENTICATION_FAILURE",
                "message": "Authentication failed due to missing or expired credentials.",
                "debug_id": headers_of(call)["Paypal-Debug-Id"],
                "links": [],
            }
            raise Refused(Answer(401, body, headers_of(call), keep=False))
        if call.method == "PATCH":
            try:
                patches = json.loads(call.raw)
            except ValueError:
                patches = None
            if not isinstance(patches, list) or not all(isinstance(p, dict) for p in patches):
                raise malformed(call, "/", "MALFORMED_REQUEST_JSON", "This is no list of patches.")
            call.params = {"patches": patches}
        elif call.method == "POST":
            call.params = body_of(call)

    def guard(self, call: Call) -> Guard | None:
        """The header of the operations that take it."""
        key = call.headers.get("paypal-request-id")
        lifetime = LIFETIMES_S.get(call.operation)
        if not key or lifetime is None:
            return None
        if len(key) > 108:
            description = "PayPal-Request-Id has at most 108 characters."
            raise malformed(call, "PayPal-Request-Id", "INVALID_STRING_LENGTH", description)
        text = json.dumps([call.path, call.params], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        return Guard(f"{call.operation} {key}", fingerprint, lifetime)

    def repeat(self, call: Call, guard: Guard, record: Document) -> Answer:
        """What the first request made, as it is now; an error where the request differs."""
        if record["fingerprint"] != guard.fingerprint:
            issue = "DUPLICATE_REQUEST_ID"
            description = "The value of PayPal-Request-Id header has already been used."
            details = [{"issue": issue, "description": description}]
            return error(call, 422, "UNPROCESSABLE_ENTITY", details)
        kind, key = record["resource"]
        if kind == "payout":
            batch = call.world.store.get("paypal payout", key)
            return Answer(201, payouts.created(call.world, batch), headers_of(call))
        return orders.again(call, kind, key)

    def failure(self, call: Call, status: int) -> Answer:
        """PayPal's words."""
        if status == 409:
            description = "A previous request on this resource is currently in progress."
            details = [{"issue": "PREVIOUS_REQUEST_IN_PROGRESS", "description": description}]
            return error(call, 409, "RESOURCE_CONFLICT", details)
        names = {404: "RESOURCE_NOT_FOUND", 429: "RATE_LIMIT_REACHED", 503: "SERVICE_UNAVAILABLE"}
        return error(call, status, names.get(status, "INTERNAL_SERVER_ERROR"))

    def endpoints(self, world: World, event: Document) -> list[Document]:
        return events.endpoints(world, event)

    def message(self, _world: World, _endpoint: Document, event: Document) -> bytes:
        return events.message(event)

    def sign(self, world: World, endpoint: Document, event: Document, body: bytes) -> Headers:
        return events.sign(world, endpoint, event, body)

    def page(self, world: World, key: str) -> Page | None:
        """The payer's question: approve or not."""
        order = world.store.find("paypal order", key)
        if order is None:
            return None
        units = order["purchase_units"]
        currency = units[0]["_currency"]
        total = sum(unit["_minor"] for unit in units)
        amount = money_text(total, currency, 0 if currency in WHOLE_ONLY else 2)
        rows = [("Order", order["id"])]
        rows += [("For", unit["description"]) for unit in units if unit.get("description")]
        if order["status"] not in {"CREATED", "PAYER_ACTION_REQUIRED"}:
            return Page("Order", amount, rows, note=f"This order is {order['status'].lower()}.")
        choices = [
            Choice("approve", "Pay with PayPal"),
            Choice("decline", "Pay with a card that will be declined", good=False),
            Choice("cancel", "Cancel and go back", good=False),
        ]
        return Page("Approve the payment", amount, rows, choices)

    def choose(self, world: World, key: str, form: Mapping[str, str]) -> str | Page:
        """Approve or go back; PayPal adds `token` and `PayerID` to the address."""
        order = world.store.get("paypal order", key)
        choice = form.get("choice", "")
        waiting = order["status"] in {"CREATED", "PAYER_ACTION_REQUIRED"}
        target = ""
        if choice in {"approve", "decline"} and waiting:
            orders.approve(world, order, declines=choice == "decline")
            target = _with(order["_return_url"], f"token={key}&PayerID={orders.PAYER['payer_id']}")
        elif choice == "cancel":
            target = _with(order["_cancel_url"], f"token={key}")
        page = self.page(world, key)
        assert page is not None
        return target or page

    def row(self, line: Line) -> dict[str, str]:
        """Columns of the settlement report, amounts as decimals."""
        side = "CR" if line.gross_minor >= 0 else "DR"
        return {
            "Transaction ID": line.id,
            "Invoice ID": line.reference,
            "Transaction Event Code": line.kind,
            "Transaction Initiation Date": iso_seconds(line.at),
            "Transaction Completion Date": iso_seconds(line.available_at),
            "Transaction Debit or Credit": side,
            "Gross Transaction Amount": money_of(abs(line.gross_minor), line.currency)["value"],
            "Gross Transaction Currency": line.currency,
            "Fee Debit or Credit": "DR",
            "Fee Amount": money_of(line.fee_minor, line.currency)["value"],
            "Fee Currency": line.currency,
            "Custom Field": line.reference,
        }

    def actions(self) -> Mapping[str, Callable[[World, Document], None]]:
        return {
            "authorisation_ends": money.authorisation_ends,
            "batch_done": payouts.batch_done,
            "withdrawal_ends": withdrawals.ends,
        }

    def simulations(self) -> Mapping[str, Callable[[World, Document], Document]]:
        return {"approve": _approve, "dispute": disputes.simulate, "withdraw": withdrawals.simulate}


def _approve(world: World, wanted: Document) -> Document:
    order = world.store.get("paypal order", str(wanted["order"]))
    if order["status"] not in {"CREATED", "PAYER_ACTION_REQUIRED"}:
        raise ValueError(f"the order is {order['status']}")
    orders.approve(world, order, declines=bool(wanted.get("declines", False)))
    return orders.shape(world, order)


def _with(url: str, query: str) -> str:
    if not url:
        return ""
    return f"{url}{'&' if '?' in url else '?'}{query}"


provider = PayPal()
