"""What Stripe's objects answer to our orders."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from provider_orchestrator.domain.adapters import Action, ActionKind, Answer, Order, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.exchange import Reply
from provider_orchestrator.providers.stripe import mapping
from provider_orchestrator.providers.stripe.client import error_of
from provider_orchestrator.providers.stripe.mapping import kept, object_in, text_in

_DECIDED = frozenset({"succeeded", "requires_capture", "processing", "canceled"})


def of_charge(reply: Reply) -> Answer:
    """Of an intent that was confirmed: a card's no comes as an error."""
    error = error_of(reply)
    if reply.status == HTTPStatus.PAYMENT_REQUIRED and reply.outcome is Outcome.OUR_FAULT:
        intent = object_in(error, "payment_intent")
        cause, soft = mapping.decline_of(error)
        return reply.answer(
            Outcome.DECLINED,
            cause,
            status=Status.FAILED,
            provider_reference=text_in(intent, "id"),
            retryable_elsewhere=soft,
            raw=kept(intent),
        )
    return of_intent(reply.body, reply) if reply.ok else reply.answer()


def told_of(reply: Reply) -> Mapping[str, Any] | None:
    """The intent as it is now, also where its status did not allow what was asked for."""
    if reply.ok:
        return reply.body
    refused = reply.cause == "payment_intent_unexpected_state"
    return (object_in(error_of(reply), "payment_intent") or None) if refused else None


def _answer(reply: Reply, cause: str = "", **more: Any) -> Answer:
    return reply.answer(Outcome.OK, cause, **more)


def unclear(document: Mapping[str, Any], reply: Reply) -> Answer:
    """A word that we do not know, or that does not belong there: it is no success."""
    reference = text_in(document, "id")
    return reply.answer(
        Outcome.UNKNOWN, "unknown_status", provider_reference=reference, raw=kept(document)
    )


def of_intent(intent: Mapping[str, Any], reply: Reply) -> Answer:
    """Where an intent stands."""
    status = mapping.INTENT_STATUSES.get(text_in(intent, "status") or "")
    if status is None or text_in(intent, "id") is None:
        return unclear(intent, reply)
    captured, code = mapping.minor_of(intent.get("amount_received"), intent.get("currency"))
    held, _ = mapping.minor_of(intent.get("amount_capturable"), intent.get("currency"))
    succeeded = status is Status.SUCCEEDED
    fee = mapping.fee_of(intent, code) if succeeded else mapping.Fee()
    error = object_in(intent, "last_payment_error")
    failed = status is Status.FAILED
    cause, soft = mapping.decline_of(error) if failed else ("", False)
    url = mapping.redirect_of(intent) if status is Status.REQUIRES_ACTION else None
    return _answer(
        reply,
        cause or (text_in(intent, "cancellation_reason") or ""),
        status=status,
        provider_reference=text_in(intent, "id"),
        amount_minor=captured if succeeded else None,
        asset=code,
        authorized_minor=held if status is Status.AUTHORIZED else None,
        fee_minor=fee.minor,
        available_at=fee.available_at,
        action=Action(ActionKind.REDIRECT, url=url) if url else None,
        retryable_elsewhere=soft,
        cannot_happen=status is Status.CANCELED,
        raw=kept(intent),
    )


def of_session(session: Mapping[str, Any], reply: Reply) -> Answer:
    """Where a payment on Stripe's page stands: the intent behind it, else the page."""
    intent, word = object_in(session, "payment_intent"), text_in(session, "status")
    reference = text_in(session, "id")
    if reference is None:
        return unclear(session, reply)
    if text_in(intent, "status") in _DECIDED:
        raw = {**kept(session), "payment_intent": kept(intent)}
        return replace(of_intent(intent, reply), provider_reference=reference, raw=raw)
    about: dict[str, Any] = {"provider_reference": reference, "raw": kept(session)}
    if word == "open":
        url, until = text_in(session, "url"), mapping.moment(session.get("expires_at"))
        action = Action(ActionKind.REDIRECT, url=url, expires_at=until)
        return _answer(reply, status=Status.REQUIRES_ACTION, action=action, **about)
    if word == "expired" and not intent:
        return _answer(reply, "expired", status=Status.CANCELED, cannot_happen=True, **about)
    if word == "expired":
        # The payer may still be with the bank; the intent is to be cancelled or waited for.
        return _answer(reply, status=Status.PROCESSING, **about)
    return unclear(session, reply)


def of_capture(intent: Mapping[str, Any], reply: Reply, order: Order) -> Answer:
    """What became of a capture: an intent has one, and knows whose it was."""
    found = of_intent(intent, reply)
    by = text_in(object_in(intent, "metadata"), "capture")
    if found.status is Status.SUCCEEDED and by not in (None, str(order.id)):
        return replace(
            found,
            status=Status.FAILED,
            cause="captured_by_another",
            amount_minor=None,
            cannot_happen=True,
        )
    if found.status in (Status.SUCCEEDED, Status.CANCELED, None):
        return found
    return replace(found, status=Status.NOT_FOUND, action=None)


def of_void(intent: Mapping[str, Any], reply: Reply) -> Answer:
    """What became of giving up: it is cancelled, or was captured before."""
    found = of_intent(intent, reply)
    if found.status in (Status.SUCCEEDED, Status.CANCELED, None):
        return found
    return replace(found, status=Status.NOT_FOUND, action=None)


def of_refund(refund: Mapping[str, Any], reply: Reply) -> Answer:
    """Where a refund stands."""
    status = mapping.REFUND_STATUSES.get(text_in(refund, "status") or "")
    if status is None or text_in(refund, "id") is None:
        return unclear(refund, reply)
    minor, code = mapping.minor_of(refund.get("amount"), refund.get("currency"))
    return _answer(
        reply,
        text_in(refund, "failure_reason") or "",
        status=status,
        provider_reference=text_in(refund, "id"),
        amount_minor=minor if status is Status.SUCCEEDED else None,
        asset=code,
        cannot_happen=status in (Status.FAILED, Status.CANCELED),
        raw=kept(refund),
    )


def not_there(reply: Reply) -> Answer:
    """The provider does not know a name that it gave us: no proof of anything."""
    if reply.status == HTTPStatus.NOT_FOUND and reply.outcome is Outcome.OUR_FAULT:
        return reply.answer(Outcome.OK, reply.cause, status=Status.NOT_FOUND)
    return reply.answer()


def nothing_to_take(reply: Reply) -> Answer:
    """The payer has not paid, so that there is no intent."""
    return reply.answer(Outcome.OUR_FAULT, "not_paid")
