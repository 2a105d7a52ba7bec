"""What PayPal's objects answer to our orders."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from provider_orchestrator.domain.adapters import Action, ActionKind, Answer, Order, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.documents import object_in, objects_in, text_in
from provider_orchestrator.providers.exchange import Reply
from provider_orchestrator.providers.paypal import mapping
from provider_orchestrator.providers.paypal.client import issues_of
from provider_orchestrator.providers.paypal.mapping import (
    kept,
    link_of,
    minor_of,
    payments_of,
)

_SAID_NO = {
    "INSTRUMENT_DECLINED": True,
    "PAYER_CANNOT_PAY": True,
    "TRANSACTION_REFUSED": True,
    "PAYER_ACCOUNT_RESTRICTED": True,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": True,
    "COMPLIANCE_VIOLATION": False,
    "CAPTURE_FULLY_REFUNDED": False,
    "REFUND_AMOUNT_EXCEEDED": False,
    "REFUND_NOT_ALLOWED": False,
    "REFUND_TIME_LIMIT_EXCEEDED": False,
    "INSUFFICIENT_FUNDS": False,
}
"""Issues that are answers and no defects of ours, and whether another provider may say yes."""


_HELD = mapping.HELD_STATUSES
_OPEN = {
    "CREATED": Status.REQUIRES_ACTION,
    "SAVED": Status.REQUIRES_ACTION,
    "PAYER_ACTION_REQUIRED": Status.REQUIRES_ACTION,
    "APPROVED": Status.APPROVED,
    "VOIDED": Status.CANCELED,
}
"""Of an order that nothing was taken or reserved for yet."""


def refused(reply: Reply) -> Answer:
    """A request that was not done: said no to, or as it went."""
    if reply.outcome is Outcome.OUR_FAULT:
        for issue in issues_of(reply):
            if issue in _SAID_NO:
                return reply.answer(
                    Outcome.DECLINED,
                    issue.lower(),
                    status=Status.FAILED,
                    retryable_elsewhere=_SAID_NO[issue],
                )
    return reply.answer()


def unclear(document: Mapping[str, Any], reply: Reply) -> Answer:
    """A word that we do not know: it is no success."""
    return reply.answer(
        Outcome.UNKNOWN,
        "unknown_status",
        provider_reference=text_in(document, "id"),
        raw=kept(document),
    )


def of_order(order: Mapping[str, Any], reply: Reply) -> Answer:
    """Where a payment stands: its captures, else what is reserved, else the payer's approval."""
    reference, word = text_in(order, "id"), text_in(order, "status")
    if reference is None:
        return unclear(order, reply)
    captures, held = payments_of(order, "captures"), payments_of(order, "authorizations")
    if captures:
        return _of_captures(captures, order, reply)
    status = _HELD.get(text_in(held[0], "status") or "") if held else _OPEN.get(word or "")
    if status is None:
        return unclear(order, reply)
    about: dict[str, Any] = {"provider_reference": reference, "raw": kept(order)}
    if held:
        minor, about["asset"] = minor_of(held[0].get("amount"))
        about["authorized_minor"] = minor if status is Status.AUTHORIZED else None
    url = link_of(order, "payer-action", "approve")
    if url and status is Status.REQUIRES_ACTION:
        about["action"] = Action(ActionKind.REDIRECT, url=url)
    gone = status is Status.CANCELED
    return reply.answer(Outcome.OK, status=status, cannot_happen=gone, **about)


def _of_captures(
    captures: list[Mapping[str, Any]], order: Mapping[str, Any], reply: Reply
) -> Answer:
    """Several captures of one order are one payment: all that was taken."""
    each = [of_capture(one, reply) for one in captures]
    told = {one.status for one in each}
    if None in told:
        return unclear(order, reply)
    taken = [one for one in each if one.status is Status.SUCCEEDED]
    status = next(
        one for one in (Status.PROCESSING, Status.SUCCEEDED, Status.FAILED) if one in told
    )
    fees = [one.fee_minor for one in taken]
    known = bool(fees) and None not in fees
    return replace(
        each[0],
        status=status,
        provider_reference=text_in(order, "id"),
        amount_minor=sum(one.amount_minor or 0 for one in taken) if taken else None,
        fee_minor=sum(fee or 0 for fee in fees) if known else None,
        raw=kept(order),
    )


def of_capture(capture: Mapping[str, Any], reply: Reply) -> Answer:
    """Where a capture stands."""
    status = mapping.CAPTURE_STATUSES.get(text_in(capture, "status") or "")
    if status is None or text_in(capture, "id") is None:
        return unclear(capture, reply)
    minor, code = minor_of(capture.get("amount"))
    fee = object_in(capture, "seller_receivable_breakdown").get("paypal_fee")
    kept_minor, kept_in = minor_of(fee) if fee else (None, code)
    succeeded = status is Status.SUCCEEDED
    return reply.answer(
        Outcome.OK,
        text_in(object_in(capture, "status_details"), "reason") or "",
        status=status,
        provider_reference=text_in(capture, "id"),
        amount_minor=minor if succeeded else None,
        asset=code,
        fee_minor=kept_minor if succeeded and kept_in == code else None,
        raw=kept(capture),
    )


def capture_in(order: Mapping[str, Any], reply: Reply, ours: Order) -> Answer:
    """What became of a capture: it carries our reference."""
    captures = payments_of(order, "captures")
    for one in captures:
        if text_in(one, "invoice_id") == str(ours.id):
            return of_capture(one, reply)
    held = of_order(order, reply)
    if held.status is Status.CANCELED or (held.status is None and held.outcome is not Outcome.OK):
        return held
    return replace(held, status=Status.NOT_FOUND, amount_minor=None, fee_minor=None, action=None)


def of_refund(refund: Mapping[str, Any], reply: Reply) -> Answer:
    """Where a refund stands."""
    status = mapping.REFUND_STATUSES.get(text_in(refund, "status") or "")
    if status is None or text_in(refund, "id") is None:
        return unclear(refund, reply)
    minor, code = minor_of(refund.get("amount"))
    return reply.answer(
        Outcome.OK,
        status=status,
        provider_reference=text_in(refund, "id"),
        amount_minor=minor if status is Status.SUCCEEDED else None,
        asset=code,
        cannot_happen=status in (Status.FAILED, Status.CANCELED),
        raw=kept(refund),
    )


def of_payout(batch: Mapping[str, Any], reply: Reply, ours: Order) -> Answer:
    """Where a payout stands: the item of its batch that carries our reference."""
    header = object_in(batch, "batch_header")
    reference, word = text_in(header, "payout_batch_id"), text_in(header, "batch_status")
    if reference is None:
        return unclear(header, reply)
    about: dict[str, Any] = {"provider_reference": reference}
    items = [
        one
        for one in objects_in(batch, "items")
        if text_in(object_in(one, "payout_item"), "sender_item_id") == str(ours.id)
    ]
    if not items:
        denied = {"DENIED": Status.FAILED, "CANCELED": Status.CANCELED}
        waits = {"PENDING": Status.PROCESSING, "PROCESSING": Status.PROCESSING}
        status = (denied | waits).get(word or "")
        raw = {"batch_status": word}
        return (
            reply.answer(Outcome.UNKNOWN, "unknown_status", raw=raw, **about)
            if status is None
            else reply.answer(Outcome.OK, status=status, raw=raw, **about)
        )
    item = items[0]
    status = mapping.PAYOUT_STATUSES.get(text_in(item, "transaction_status") or "")
    if status is None:
        return replace(unclear(item, reply), provider_reference=reference)
    minor, code = minor_of(object_in(item, "payout_item").get("amount"), "currency")
    fee = item.get("payout_item_fee")
    paid = status is Status.SUCCEEDED
    return reply.answer(
        Outcome.OK,
        (text_in(object_in(item, "errors"), "name") or "").lower(),
        status=status,
        amount_minor=minor if paid else None,
        asset=code,
        fee_minor=minor_of(fee, "currency")[0] if fee and paid else None,
        cannot_happen=status in (Status.FAILED, Status.CANCELED),
        raw=kept(item),
        **about,
    )


def not_there(reply: Reply) -> Answer:
    """PayPal does not know a name that it gave us: no proof of anything."""
    if reply.status == HTTPStatus.NOT_FOUND and reply.outcome is Outcome.OUR_FAULT:
        return reply.answer(Outcome.OK, reply.cause, status=Status.NOT_FOUND)
    return reply.answer()
