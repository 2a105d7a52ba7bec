"""Stripe's balance: transactions with fee and `available_on`, the balance itself, payouts."""

from provider_sandbox.core.clock import iso_seconds
from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.statements import Line, book
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.stripe.events import happened
from provider_sandbox.providers.stripe.wire import (
    ZERO_DECIMALS,
    error,
    find,
    headers_of,
    invalid,
    keep,
    make,
    ok,
    take,
)

AVAILABLE_AFTER_S = 2 * 86_400
PAYOUT_AFTER_S = 2 * 86_400
_CATEGORIES = {
    "charge": "charge",
    "refund": "refund",
    "adjustment": "dispute",
    "payout": "payout",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
    "refund_failure": "refund_failure",
}


def reference_of(document: Document) -> str:
    """Our own reference: the first of these keys that the metadata has."""
    metadata = document.get("metadata") or {}
    for name in ("reference", "invoice_id", "payment_id", "attempt_id"):
        if metadata.get(name):
            return str(metadata[name])
    return ""


def fee_of(amount: int, currency: str) -> int:
    """2.9 % and 30 of the smallest unit, rounded half up."""
    return (amount * 29 + 500) // 1000 + (0 if currency in ZERO_DECIMALS else 30)


def move(
    world: World,
    kind: str,
    amount: int,
    source: Document,
    *,
    fee: int = 0,
    after_s: float = AVAILABLE_AFTER_S,
    reference: str = "",
) -> Document:
    """A balance transaction, and its line of the statement."""
    available = int(world.now() + after_s)
    currency = source["currency"]
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    transaction = make(
        world,
        "txn",
        amount=amount,
        available_on=available,
        balance_type="payments",
        currency=currency,
        description=source.get("description"),
        exchange_rate=None,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=_CATEGORIES[kind],
        source=source["id"],
        type=kind,
    )
    del transaction["livemode"]
    book(
        world,
        "stripe",
        Line(
            id=transaction["id"],
            at=transaction["created"],
            available_at=available,
            kind=_CATEGORIES[kind],
            source=source["id"],
            reference=reference,
            gross_minor=amount,
            fee_minor=fee,
            currency=currency,
            description=source.get("description") or "",
        ),
    )
    return transaction


def row(line: Line) -> dict[str, str]:
    """Columns of the itemised balance change report. Amounts in the currency's main unit."""
    return {
        "balance_transaction_id": line.id,
        "created_utc": iso_seconds(line.at),
        "available_on_utc": iso_seconds(line.available_at),
        "currency": line.currency,
        "gross": _major(line.gross_minor, line.currency),
        "fee": _major(line.fee_minor, line.currency),
        "net": _major(line.net_minor, line.currency),
        "reporting_category": line.kind,
        "source_id": line.source,
        "description": line.description,
        "payment_metadata[reference]": line.reference,
    }


def _major(minor: int, currency: str) -> str:
    if currency in ZERO_DECIMALS:
        return str(minor)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 100}.{whole % 100:02}"


def sums(world: World, currency: str = "") -> dict[str, dict[str, int]]:
    """Net amounts by currency, `available` and `pending`."""
    found: dict[str, dict[str, int]] = {}
    for one in world.store.all("stripe balance_transaction"):
        if currency in ("", one["currency"]):
            told = found.setdefault(one["currency"], {"available": 0, "pending": 0})
            due = one["available_on"] <= world.now()
            told["available" if due else "pending"] += one["net"]
    return found


def read_balance(call: Call) -> Answer:
    take(call)
    found = sums(call.world)
    body: Document = {"object": "balance", "livemode": False}
    for name in ("available", "pending"):
        body[name] = [
            {"amount": told[name], "currency": currency, "source_types": {"card": told[name]}}
            for currency, told in sorted(found.items())
        ]
    return Answer(200, body, headers_of(call))


def read_transaction(call: Call) -> Answer:
    return ok(call, find(call, "balance_transaction", call.ids["id"]))


def create_payout(call: Call) -> Answer:
    """Money to the bank account; never more than is available."""
    asked = take(
        call,
        amount="int!",
        currency="str!",
        description="str",
        metadata="dict",
        method="str",
        statement_descriptor="str",
        destination="str",
        source_type="str",
    )
    world, currency = call.world, asked["currency"].lower()
    if asked["amount"] < 1:
        raise invalid(call, "Invalid positive integer", "parameter_invalid_integer", "amount")
    if asked["amount"] > sums(world, currency).get(currency, {}).get("available", 0):
        message = "You have insufficient funds in your Stripe account for this transfer."
        answer = error(
            call, 400, "invalid_request_error", message, keep=True, code="balance_insufficient"
        )
        raise Refused(answer)
    payout = make(
        world,
        "po",
        amount=asked["amount"],
        arrival_date=int(world.now() + PAYOUT_AFTER_S),
        automatic=False,
        balance_transaction=None,
        currency=currency,
        description=asked.get("description"),
        destination=asked.get("destination", "ba_sandbox"),
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        metadata=asked.get("metadata", {}),
        method=asked.get("method", "standard"),
        reconciliation_status="not_applicable",
        source_type="card",
        statement_descriptor=asked.get("statement_descriptor"),
        status="pending",
        type="bank_account",
        _fails=call.decision.declined,
    )
    moved = move(
        world, "payout", -payout["amount"], payout, after_s=0, reference=reference_of(payout)
    )
    payout["balance_transaction"] = moved["id"]
    keep(world, payout)
    happened(world, "payout.created", payout, call)
    world.later(PAYOUT_AFTER_S, "stripe.payout_arrives", {"id": payout["id"]})
    return ok(call, payout)


def arrive(world: World, argument: Document) -> None:
    """The bank takes the money, or sends it back."""
    payout = world.store.get("stripe payout", argument["id"])
    if payout["status"] not in {"pending", "in_transit"}:
        return
    if payout["_fails"]:
        payout |= {
            "status": "failed",
            "failure_code": "account_closed",
            "failure_message": "The bank account has been closed.",
        }
        _return(world, payout, "payout_failure")
        happened(world, "payout.failed", payout)
        return
    payout["status"] = "paid"
    keep(world, payout)
    world.state_fact(
        "stripe",
        "paid_out",
        {
            "payment": payout["id"],
            "object": payout["id"],
            "reference": reference_of(payout),
            "amount_minor": payout["amount"],
            "currency": payout["currency"],
        },
    )
    happened(world, "payout.paid", payout)


def _return(world: World, payout: Document, kind: str) -> None:
    moved = move(world, kind, payout["amount"], payout, after_s=0, reference=reference_of(payout))
    payout["failure_balance_transaction"] = moved["id"]
    keep(world, payout)


def cancel_payout(call: Call) -> Answer:
    take(call)
    payout = find(call, "payout", call.ids["id"])
    if payout["status"] != "pending":
        message = f"A payout that is {payout['status']} can no longer be canceled."
        raise invalid(call, message, "payout_not_cancelable")
    payout["status"] = "canceled"
    _return(call.world, payout, "payout_cancel")
    happened(call.world, "payout.canceled", payout, call)
    return ok(call, payout)


def read_payout(call: Call) -> Answer:
    return ok(call, find(call, "payout", call.ids["id"]))
