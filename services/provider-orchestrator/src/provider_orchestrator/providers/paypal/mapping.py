"""PayPal's words and amounts to ours; what it says and we do not know is unknown."""

from collections.abc import Iterator, Mapping
from typing import Any

from provider_orchestrator.domain.adapters import LineKind, StatementLine, Status
from provider_orchestrator.providers import amounts
from provider_orchestrator.providers.documents import moment, object_in, objects_in, text_in
from provider_orchestrator.providers.exchange import Senseless

WITHOUT_DECIMALS = frozenset({"HUF", "JPY", "TWD"})
CAPTURE_STATUSES = {
    "COMPLETED": Status.SUCCEEDED,
    "PARTIALLY_REFUNDED": Status.SUCCEEDED,
    "REFUNDED": Status.SUCCEEDED,
    "PENDING": Status.PROCESSING,
    "DECLINED": Status.FAILED,
    "FAILED": Status.FAILED,
}
HELD_STATUSES = {
    "CREATED": Status.AUTHORIZED,
    "CAPTURED": Status.AUTHORIZED,
    "PARTIALLY_CAPTURED": Status.AUTHORIZED,
    "PENDING": Status.PROCESSING,
    "DENIED": Status.FAILED,
    "EXPIRED": Status.CANCELED,
    "VOIDED": Status.CANCELED,
}
REFUND_STATUSES = {
    "COMPLETED": Status.SUCCEEDED,
    "PENDING": Status.PROCESSING,
    "FAILED": Status.FAILED,
    "CANCELLED": Status.CANCELED,
}
PAYOUT_STATUSES = {
    "SUCCESS": Status.SUCCEEDED,
    "NEW": Status.PROCESSING,
    "PENDING": Status.PROCESSING,
    "ONHOLD": Status.PROCESSING,
    "UNCLAIMED": Status.PROCESSING,
    "FAILED": Status.FAILED,
    "BLOCKED": Status.FAILED,
    "DENIED": Status.FAILED,
    "REFUNDED": Status.FAILED,
    "RETURNED": Status.FAILED,
    "REVERSED": Status.FAILED,
    "CANCELED": Status.CANCELED,
}
"""Of an item; what nobody has claimed yet can still come back."""


def money_of(minor: int, code: str) -> dict[str, str]:
    """An amount as PayPal writes it; raises `Unsayable`."""
    decimals = 0 if code in WITHOUT_DECIMALS else 2
    return {"currency_code": code, "value": amounts.text_of(minor, code, decimals)}


def minor_of(money: object, currency: str = "currency_code") -> tuple[int, str]:
    """Minor units and asset of an amount; raises `Senseless`."""
    found = money if isinstance(money, Mapping) else {}
    code = found.get(currency)
    return amounts.minor_of(found.get("value"), code), str(code)


def payments_of(order: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """The captures, authorizations or refunds of an order."""
    units = objects_in(order, "purchase_units")
    return [one for unit in units for one in objects_in(object_in(unit, "payments"), kind)]


def link_of(document: Mapping[str, Any], *rels: str) -> str | None:
    """The address of the first link with one of these relations."""
    links = objects_in(document, "links")
    return next((text_in(one, "href") for one in links if one.get("rel") in rels), None)


_KEPT = (
    *("id", "status", "intent", "amount", "invoice_id", "custom_id", "create_time"),
    *("update_time", "final_capture", "seller_receivable_breakdown", "status_details"),
    *("seller_payable_breakdown", "expiration_time", "transaction_status", "payout_item_id"),
    *("payout_batch_id", "payout_item_fee", "time_processed", "transaction_id"),
)


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an object: no names, addresses or links."""
    found: dict[str, Any] = {name: document[name] for name in _KEPT if name in document}
    for kind in ("captures", "authorizations", "refunds"):
        parts = payments_of(document, kind)
        if parts:
            found[kind] = [kept(one) for one in parts]
    return found


def line_kind(code: str) -> LineKind:
    """What a code of a transaction is about."""
    exact = {"T0001": LineKind.PAYOUT, "T1114": LineKind.PAYOUT, "T1107": LineKind.REFUND}
    groups = {
        "T00": LineKind.PAYMENT,
        "T01": LineKind.FEE,
        "T03": LineKind.TRANSFER,
        "T04": LineKind.TRANSFER,
        "T12": LineKind.DISPUTE,
    }
    disputes = {"T1106", "T1108", "T1110", "T1111"}
    found = exact.get(code) or groups.get(code[:3], LineKind.OTHER)
    return LineKind.DISPUTE if code in disputes else found


def line_of(document: Mapping[str, Any]) -> StatementLine:
    """A transaction of the reporting API; raises `Senseless`."""
    info = object_in(document, "transaction_info")
    gross, code = minor_of(info.get("transaction_amount"))
    fee = minor_of(info.get("fee_amount"))[0] if info.get("fee_amount") else 0
    at, line_id = moment(info.get("transaction_initiation_date")), text_in(info, "transaction_id")
    if at is None or line_id is None:
        raise Senseless("a transaction has an id and a time")
    return StatementLine(
        id=line_id,
        kind=line_kind(str(info.get("transaction_event_code"))),
        asset=code,
        gross_minor=gross,
        fee_minor=-fee,
        at=at,
        provider_reference=line_id,
        our_reference=text_in(info, "custom_field") or text_in(info, "invoice_id"),
        raw=dict(info),
    )


def references_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Whatever an event points at: the object, its order, our own reference."""
    return tuple(dict.fromkeys(one for one in _references(object_in(event, "resource")) if one))


def _references(about: Mapping[str, Any]) -> Iterator[str | None]:
    header, item = object_in(about, "batch_header"), object_in(about, "payout_item")
    related = object_in(object_in(about, "supplementary_data"), "related_ids")
    yield from (text_in(about, name) for name in ("id", "payout_batch_id", "sender_batch_id"))
    yield from (text_in(related, name) for name in ("order_id", "capture_id"))
    for part in (about, *objects_in(about, "purchase_units")):
        yield from (text_in(part, name) for name in ("custom_id", "invoice_id"))
    yield text_in(header, "payout_batch_id")
    yield text_in(object_in(header, "sender_batch_header"), "sender_batch_id")
    yield text_in(item, "sender_item_id")
    yield text_in(about, "dispute_id")
    for one in objects_in(about, "disputed_transactions"):
        yield text_in(one, "seller_transaction_id")
