"""PayPal's Payouts: batches of up to 15,000 items, done after a while."""

from typing import Any

from provider_sandbox.core.clock import iso_seconds
from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.paypal.events import happened
from provider_sandbox.providers.paypal.money import fact, move
from provider_sandbox.providers.paypal.wire import (
    base_of,
    body_of,
    error,
    find,
    headers_of,
    keep,
    key_of,
    link,
    malformed,
    minor_of,
    money_of,
    not_found,
    view,
)

PROCESSED_AFTER_S = 5
SENDER_BATCH_FOR_S = 30 * 86_400
ITEM_FEE = 25
_PATH = "/v1/payments/payouts"
_ITEM_PATH = "/v1/payments/payouts-item"


def create(call: Call) -> Answer:
    """A batch; a `sender_batch_id` that was used within thirty days is refused."""
    body = body_of(call)
    header, items = body.get("sender_batch_header"), body.get("items")
    if not isinstance(header, dict):
        description = "A required field is missing."
        raise malformed(call, "sender_batch_header", "MISSING_REQUIRED_PARAMETER", description)
    if not isinstance(items, list) or not 1 <= len(items) <= 15_000:
        raise malformed(call, "items", "INVALID_PARAMETER", "A batch has 1 to 15000 items.")
    world, sent = call.world, str(header.get("sender_batch_id", ""))
    _batch_is_new(call, sent)
    batch: Document = {
        "id": key_of(world, "payout", 13),
        "_kind": "payout",
        "_sent": sent,
        "_made_at": world.now(),
        "_items": [],
        "_header": {name: str(value) for name, value in header.items()},
        "status": "PENDING",
        "time_created": iso_seconds(world.now()),
        "time_completed": None,
    }
    checked = [_item(call, place, item) for place, item in enumerate(items)]
    for place, (item, minor, currency) in enumerate(checked):
        batch["_items"].append(_keep_item(call, batch, item, minor, currency, place))
    keep(world, batch)
    world.later(PROCESSED_AFTER_S, "paypal.batch_done", {"id": batch["id"]})
    return Answer(201, created(world, batch), headers_of(call), resource=("payout", batch["id"]))


def _batch_is_new(call: Call, sent: str) -> None:
    for other in call.world.store.all("paypal payout"):
        fresh = call.world.now() - other["_made_at"] < SENDER_BATCH_FOR_S
        if sent and other["_sent"] == sent and fresh:
            detail = {
                "field": "SENDER_BATCH_ID",
                "location": "body",
                "issue": "DUPLICATE_BATCH",
                "description": "Batch with given sender_batch_id already exists",
                "link": [link(call, f"{_PATH}/{other['id']}", "self")],
            }
            message = "User business error."
            raise Refused(error(call, 400, "USER_BUSINESS_ERROR", [detail], message=message))


def _item(call: Call, place: int, item: Any) -> tuple[Document, int, str]:
    if not isinstance(item, dict) or not item.get("receiver"):
        description = "A required field is missing."
        raise malformed(call, f"items[{place}].receiver", "MISSING_REQUIRED_PARAMETER", description)
    amount = item.get("amount")
    if not isinstance(amount, dict):
        description = "A required field is missing."
        raise malformed(call, f"items[{place}].amount", "MISSING_REQUIRED_PARAMETER", description)
    money = {"currency_code": amount.get("currency"), "value": amount.get("value")}
    minor, currency = minor_of(call, money, f"items[{place}].amount")
    return item, minor, currency


def _keep_item(
    call: Call, batch: Document, item: Document, minor: int, currency: str, place: int
) -> str:
    world = call.world
    kept = ("note", "sender_item_id", "recipient_type", "recipient_wallet", "purpose")
    document = {
        "id": key_of(world, "payout item", 13),
        "_kind": "payout item",
        "_batch": batch["id"],
        "_minor": minor,
        "_currency": currency,
        "_reference": str(item.get("sender_item_id", "")),
        "_declined": call.decision.draw.happens(f"item {place}", call.decision.faults.declined),
        "status": "PENDING",
        "transaction_id": None,
        "item": {
            "recipient_type": batch["_header"].get("recipient_type", "EMAIL"),
            **{name: item[name] for name in kept if name in item},
            "amount": _amount(minor, currency),
            "receiver": str(item["receiver"]),
        },
    }
    return str(keep(world, document)["id"])


def _amount(minor: int, currency: str) -> dict[str, str]:
    told = money_of(minor, currency)
    return {"currency": told["currency_code"], "value": told["value"]}


def created(world: World, batch: Document) -> Document:
    """What the creation answers."""
    return {
        "batch_header": {
            "payout_batch_id": batch["id"],
            "batch_status": batch["status"],
            "sender_batch_header": batch["_header"],
        },
        "links": [link(base_of(world), f"{_PATH}/{batch['id']}", "self")],
    }


def batch_done(world: World, argument: Document) -> None:
    """Each item succeeds, fails, or waits for a receiver who is unknown."""
    batch = world.store.get("paypal payout", argument["id"])
    for key in batch["_items"]:
        _pay(world, world.store.get("paypal payout item", key))
    batch |= {"status": "SUCCESS", "time_completed": iso_seconds(world.now())}
    keep(world, batch)
    happened(world, "PAYMENT.PAYOUTSBATCH.SUCCESS", "payouts", whole(world, batch))


def _pay(world: World, item: Document) -> None:
    receiver = item["item"]["receiver"]
    if item["_declined"] or "fail" in receiver:
        item |= {"status": "FAILED", "time_processed": iso_seconds(world.now())}
        item["errors"] = {
            "name": "RECEIVER_UNREGISTERED",
            "message": "Receiver is unregistered",
            "debug_id": "sandbox",
        }
        name = "FAILED"
    else:
        unclaimed = "unclaimed" in receiver
        item |= {
            "status": "UNCLAIMED" if unclaimed else "SUCCESS",
            "transaction_id": key_of(world, "transaction"),
            "time_processed": iso_seconds(world.now()),
        }
        move(world, "T0001", item, -item["_minor"], ITEM_FEE, item["_currency"])
        fact(world, "paid_out", item, item["id"], item["_minor"])
        name = "UNCLAIMED" if unclaimed else "SUCCEEDED"
    keep(world, item)
    happened(world, f"PAYMENT.PAYOUTS-ITEM.{name}", "payouts_item", item_of(world, item))


def item_of(world: World, item: Document) -> Document:
    """An item as clients see it."""
    batch = world.store.get("paypal payout", item["_batch"])
    seen = view(item)
    base = base_of(world)
    shown: Document = {
        "payout_item_id": item["id"],
        "transaction_id": item["transaction_id"],
        "transaction_status": item["status"],
        "payout_item_fee": _amount(ITEM_FEE, item["_currency"]),
        "payout_batch_id": batch["id"],
        "sender_batch_id": batch["_sent"],
        "payout_item": item["item"],
        "time_processed": seen.get("time_processed"),
        "errors": seen.get("errors"),
        "links": [
            link(base, f"{_ITEM_PATH}/{item['id']}", "item"),
            link(base, f"{_PATH}/{batch['id']}", "batch"),
        ],
    }
    return {name: value for name, value in shown.items() if value is not None}


def whole(world: World, batch: Document, start: int = 0, size: int = 1000) -> Document:
    """A batch with a page of its items."""
    items = [world.store.get("paypal payout item", key) for key in batch["_items"]]
    currency = items[0]["_currency"]
    header = {
        "payout_batch_id": batch["id"],
        "batch_status": batch["status"],
        "time_created": batch["time_created"],
        "time_completed": batch["time_completed"],
        "sender_batch_header": batch["_header"],
        "funding_source": "BALANCE",
        "amount": _amount(sum(item["_minor"] for item in items), currency),
        "fees": _amount(ITEM_FEE * len(items), currency),
    }
    return {
        "total_items": len(items),
        "total_pages": -(-len(items) // size),
        "batch_header": {name: value for name, value in header.items() if value is not None},
        "items": [item_of(world, item) for item in items[start : start + size]],
        "links": [link(base_of(world), f"{_PATH}/{batch['id']}", "self")],
    }


def read(call: Call) -> Answer:
    """A batch and a page of its items."""
    batch = find(call, "payout", call.ids["id"])
    asked, number = call.one("page_size"), call.one("page")
    size = max(1, min(1000, int(asked))) if asked.isdigit() else 1000
    page = max(1, int(number)) if number.isdigit() else 1
    return Answer(200, whole(call.world, batch, (page - 1) * size, size), headers_of(call))


def _found_item(call: Call) -> Document:
    item = call.world.store.find("paypal payout item", call.ids["id"])
    if item is None:
        raise not_found(call)
    return item


def read_item(call: Call) -> Answer:
    return Answer(200, item_of(call.world, _found_item(call)), headers_of(call))


def cancel_item(call: Call) -> Answer:
    """Take back what nobody has claimed."""
    item = _found_item(call)
    if item["status"] != "UNCLAIMED":
        detail = {"issue": "ITEM_INCORRECT_STATUS", "description": "Only UNCLAIMED is cancelled."}
        message = "Payouts item is not unclaimed."
        raise Refused(error(call, 400, "ITEM_INCORRECT_STATUS", [detail], message=message))
    item["status"] = "RETURNED"
    keep(call.world, item)
    returned = item | {"id": key_of(call.world, "transaction")}
    move(call.world, "T1114", returned, item["_minor"], 0, item["_currency"])
    fact(call.world, "returned", item, item["id"], item["_minor"])
    happened(call.world, "PAYMENT.PAYOUTS-ITEM.RETURNED", "payouts_item", item_of(call.world, item))
    return Answer(200, item_of(call.world, item), headers_of(call))
