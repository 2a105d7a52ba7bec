"""Circle as one provider: routes, keys in the body, page of a deposit, statement."""

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial

from provider_sandbox.core.clock import iso_milliseconds
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
from provider_sandbox.core.statements import Line
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.pages import money_text
from provider_sandbox.providers.circle import business, events, payments, wallets
from provider_sandbox.providers.circle.wire import (
    body_of,
    error,
    find,
    headers_of,
    key_of,
    listed,
    money_of,
    ok,
)

KEY_PREFIX = "TEST_API_KEY:"
KEY_LIFETIME_S = 10 * 365 * 86_400
"""Circle does not say how long a key is known; the sandbox never forgets one."""


def _read(kind: str, call: Call) -> Answer:
    return ok(call, find(call, kind))


def _list(kind: str, call: Call) -> Answer:
    return listed(call, kind)


def _pair(path: str, name: str, kind: str) -> tuple[Route, Route]:
    """Listing, and reading one."""
    return (
        Route("GET", path, f"{name}.list", partial(_list, kind)),
        Route("GET", f"{path}/{{id}}", f"{name}.get", partial(_read, kind)),
    )


_INTENTS, _NOTES = "/v1/paymentIntents", "/notifications/subscriptions"
_BUSINESS = "/v1/businessAccount"
_KEYED = (
    Route("POST", _INTENTS, "paymentIntents.create", payments.create),
    Route("POST", f"{_INTENTS}/{{id}}/refund", "paymentIntents.refund", payments.refund),
    Route("POST", "/v1/wallets", "wallets.create", wallets.create),
    Route("POST", "/v1/wallets/{id}/addresses", "wallets.addresses.create", wallets.add_address),
    Route("POST", "/v1/transfers", "transfers.create", wallets.transfer),
    Route("POST", f"{_BUSINESS}/transfers", "businessAccount.transfers.create", wallets.transfer),
    Route(
        "POST",
        f"{_BUSINESS}/wallets/addresses/deposit",
        "businessAccount.addresses.create",
        wallets.deposit_address,
    ),
    Route(
        "POST",
        f"{_BUSINESS}/wallets/addresses/recipient",
        "businessAccount.recipients.create",
        wallets.recipient,
    ),
    Route("POST", f"{_BUSINESS}/banks/wires", "businessAccount.wires.create", business.create_wire),
    Route("POST", f"{_BUSINESS}/payouts", "businessAccount.payouts.create", business.create_payout),
    Route("POST", "/v1/addressBook/recipients", "recipients.create", business.create_recipient),
    Route("POST", "/v1/payouts", "payouts.create", business.create_payout),
)
_PUBLIC = (
    Route("GET", "/sns/certificate.pem", "sns.certificate", events.certificate, public=True),
    Route("GET", "/sns/confirm", "sns.confirm", events.confirm, public=True),
)
ROUTES = (
    *_KEYED,
    *_PUBLIC,
    *_pair(_INTENTS, "paymentIntents", "intent"),
    Route("POST", f"{_INTENTS}/{{id}}/expire", "paymentIntents.expire", payments.expire),
    *_pair("/v1/payments", "payments", "payment"),
    Route("GET", "/v1/wallets", "wallets.list", wallets.list_all),
    Route("GET", "/v1/wallets/{id}", "wallets.get", wallets.read),
    Route("GET", "/v1/wallets/{id}/addresses", "wallets.addresses.list", wallets.addresses),
    *_pair("/v1/transfers", "transfers", "transfer"),
    *_pair("/v1/payouts", "payouts", "payout"),
    *_pair("/v1/addressBook/recipients", "recipients", "book"),
    Route("GET", f"{_BUSINESS}/balances", "businessAccount.balances", business.balances),
    *_pair(f"{_BUSINESS}/transfers", "businessAccount.transfers", "transfer"),
    *_pair(f"{_BUSINESS}/payouts", "businessAccount.payouts", "business payout"),
    Route("GET", f"{_BUSINESS}/deposits", "deposits.list", partial(_list, "deposit")),
    *_pair(f"{_BUSINESS}/banks/wires", "businessAccount.wires", "wire"),
    Route(
        "GET",
        f"{_BUSINESS}/banks/wires/{{id}}/instructions",
        "businessAccount.wires.instructions",
        business.instructions,
    ),
    Route("POST", "/v1/mocks/payments/wire", "mocks.wire", business.mock_wire),
    Route("GET", "/v1/settlements", "settlements.list", business.settlements),
    Route("POST", f"/v1{_NOTES}", "subscriptions.create", events.subscribe),
    Route("GET", f"/v1{_NOTES}", "subscriptions.list", events.subscriptions),
    Route("DELETE", f"/v1{_NOTES}/{{id}}", "subscriptions.delete", events.unsubscribe),
    Route("POST", f"/v2{_NOTES}", "v2.subscriptions.create", events.subscribe),
    Route("GET", f"/v2{_NOTES}", "v2.subscriptions.list", events.subscriptions),
    Route("DELETE", f"/v2{_NOTES}/{{id}}", "v2.subscriptions.delete", events.unsubscribe),
    Route("GET", "/v2/notifications/publicKey/{id}", "v2.publicKey.get", events.public_key),
)
_KEYED_NAMES = frozenset(route.operation for route in _KEYED)
_PUBLIC_NAMES = frozenset(route.operation for route in _PUBLIC)


class Circle(Provider):
    """Keys are UUIDs of version 4 in the body; a repeat gets the first answer."""

    name = "circle"
    title = "Circle"
    routes = ROUTES
    retries_s = (0, 0, 0, 1, 1, *(20 * 2**n for n in range(8)), *(3600,) * 10)

    def admit(self, call: Call) -> None:
        """A test key as bearer."""
        if call.operation not in _PUBLIC_NAMES:
            kind, _, key = call.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not key.startswith(KEY_PREFIX):
                message = f"Unauthorized. The sandbox takes keys that begin with {KEY_PREFIX}"
                raise Refused(error(call, 401, 401, message))
        if call.method == "POST":
            call.params = body_of(call)

    def guard(self, call: Call) -> Guard | None:
        """The key of the body, which these operations must have."""
        if call.operation not in _KEYED_NAMES:
            return None
        key = key_of(call)
        text = json.dumps([call.path, call.params], sort_keys=True)
        return Guard(key, hashlib.sha256(text.encode()).hexdigest(), KEY_LIFETIME_S)

    def repeat(self, call: Call, guard: Guard, record: Document) -> Answer:
        """The first answer, or an error where the request differs."""
        if record["fingerprint"] != guard.fingerprint:
            message = "The idempotency key was used with another request."
            return error(call, 409, 409, message)
        return Answer(record["status"], record["body"], headers_of(call))

    def failure(self, call: Call, status: int) -> Answer:
        """Circle's words."""
        words = {
            404: "Not found",
            409: "A request with this idempotency key is in progress.",
            429: "Too many requests",
            503: "Service unavailable",
        }
        return error(call, status, status, words.get(status, "Something went wrong"))

    def endpoints(self, world: World, event: Document) -> list[Document]:
        return events.endpoints(world, event)

    def message(self, world: World, endpoint: Document, event: Document) -> bytes:
        return events.message(world, endpoint, event)

    def sign(self, world: World, endpoint: Document, event: Document, body: bytes) -> Headers:
        return events.sign(world, endpoint, event, body)

    def page(self, world: World, key: str) -> Page | None:
        """A payer with a wallet: how much do they send?"""
        intent = world.store.find("circle intent", key)
        return _page(intent) if intent else None

    def choose(self, world: World, key: str, form: Mapping[str, str]) -> str | Page:
        """Send what the payer typed, exactly that."""
        intent = world.store.get("circle intent", key)
        address = intent["paymentMethods"][0].get("address")
        try:
            minor = int(Decimal(form.get("amount", "")).scaleb(2))
        except InvalidOperation:
            minor = 0
        if not address or form.get("choice") != "send" or not 0 < minor < 10**12:
            return _page(intent, "Type an amount such as 12.34.")
        wanted = {"address": address, "amount": minor, "currency": intent["_currency"]}
        sent = payments.deposit(world, wanted)
        page = _page(intent)
        note = f"Sent {money_text(minor, intent['_currency'])} in {sent['transactionHash'][:18]}…"
        return Page(page.title, page.amount, page.rows, page.choices, note)

    def row(self, line: Line) -> dict[str, str]:
        """One line a movement, amounts as decimals."""
        return {
            "id": line.id,
            "sourceId": line.source,
            "type": line.kind,
            "createDate": iso_milliseconds(line.at),
            "settleDate": iso_milliseconds(line.available_at),
            "amount": money_of(line.gross_minor, line.currency)["amount"],
            "fees": money_of(line.fee_minor, line.currency)["amount"],
            "netAmount": money_of(line.net_minor, line.currency)["amount"],
            "currency": line.currency,
            "idempotencyKey": line.reference,
        }

    def actions(self) -> Mapping[str, Callable[[World, Document], None]]:
        return {
            "address_assigned": payments.address_assigned,
            "intent_expires": payments.intent_expires,
            "payment_paid": payments.payment_paid,
            "refund_done": payments.refund_done,
            "transfer_done": wallets.transfer_done,
            "bank_checked": business.bank_checked,
            "minted": business.minted,
            "payout_done": business.payout_done,
        }

    def simulations(self) -> Mapping[str, Callable[[World, Document], Document]]:
        return {"deposit": payments.deposit}


def _page(intent: Document, error: str = "") -> Page:
    currency = intent["_currency"]
    left = max(0, intent["_minor"] - intent["_paid"])
    address = intent["paymentMethods"][0].get("address", "is being assigned; load again")
    rows = [
        ("Status", payments.status_of(intent)),
        ("Chain", intent["paymentMethods"][0]["chain"]),
        ("Address", address),
        ("Paid", money_text(intent["_paid"], currency)),
    ]
    amount = "" if intent["_continuous"] else money_text(intent["_minor"], currency)
    proposed = money_text(left, currency).partition(" ")[0] if left else ""
    choice = Choice("send", "Send", [("amount", f"Amount in {currency}", proposed)])
    choices = [choice] if "address" in intent["paymentMethods"][0] else []
    return Page("Pay from a wallet", amount, rows, choices, error=error)


provider = Circle()
