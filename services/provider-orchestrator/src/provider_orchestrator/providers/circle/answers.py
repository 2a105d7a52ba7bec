"""What Circle's objects answer to our orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from provider_orchestrator.domain.adapters import Action, ActionKind, Answer, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.circle import mapping
from provider_orchestrator.providers.circle.mapping import Assets, kept, status_word
from provider_orchestrator.providers.documents import moment, object_in, objects_in, text_in
from provider_orchestrator.providers.exchange import Reply

_OPEN = frozenset({"created", "pending", "active"})
_PAID = frozenset({"complete", "refunded"})
_OVER = {"expired": Status.CANCELED, "failed": Status.FAILED}


def unclear(document: Mapping[str, Any], reply: Reply) -> Answer:
    """A word that we do not know: it is no success."""
    return reply.answer(
        Outcome.UNKNOWN,
        "unknown_status",
        provider_reference=text_in(document, "id"),
        raw=kept(document),
    )


def of_intent(intent: Mapping[str, Any], reply: Reply, assets: Assets) -> Answer:
    """Where a payment stands: what came counts, whatever was asked for."""
    reference, (word, context) = text_in(intent, "id"), status_word(intent)
    if reference is None or word not in _OPEN | _PAID | _OVER.keys():
        return unclear(intent, reply)
    about: dict[str, Any] = {"provider_reference": reference, "raw": kept(intent)}
    if word in _OPEN:
        action = _action_of(intent)
        # The address comes a moment later; until then there is nothing for the payer to do.
        status = Status.REQUIRES_ACTION if action else Status.PROCESSING
        return reply.answer(Outcome.OK, status=status, action=action, **about)
    paid, code = assets.minor(intent.get("amountPaid"))
    if paid == 0:
        # Of what expired, money can still come: an address is never closed.
        return reply.answer(
            Outcome.OK, context or word, status=_OVER.get(word, Status.PROCESSING), **about
        )
    return reply.answer(
        Outcome.OK,
        "" if context == "paid" else context,
        status=Status.SUCCEEDED,
        amount_minor=paid,
        asset=code,
        **about,
    )


def _action_of(intent: Mapping[str, Any]) -> Action | None:
    for method in objects_in(intent, "paymentMethods"):
        address = text_in(method, "address")
        if address is not None:
            return Action(
                ActionKind.DEPOSIT,
                address=address,
                chain=text_in(method, "chain"),
                expires_at=moment(intent.get("expiresOn")),
            )
    return None


def with_fees(answer: Answer, payments: Sequence[Mapping[str, Any]], assets: Assets) -> Answer:
    """The answer with what Circle kept of the payments, where they are all there."""
    paid = [one for one in payments if _is_payment(one, "paid")]
    taken = sum(assets.minor(one.get("amount"))[0] for one in paid)
    if taken != answer.amount_minor or not all(one.get("fees") for one in paid):
        return answer
    # What is paid is in our wallet there at that moment.
    times = [moment(one.get("updateDate")) for one in paid]
    known = [at for at in times if at is not None]
    return replace(
        answer,
        fee_minor=sum(assets.minor(one["fees"])[0] for one in paid),
        available_at=max(known) if len(known) == len(times) else None,
    )


def deposits(payments: Iterable[Mapping[str, Any]], assets: Assets) -> dict[str, int]:
    """What came, by intent."""
    found: dict[str, int] = {}
    for one in payments:
        intent = text_in(one, "paymentIntentId")
        if intent is not None and _is_payment(one, "paid"):
            found[intent] = found.get(intent, 0) + assets.minor(one.get("amount"))[0]
    return found


def is_on_its_way(payment: Mapping[str, Any]) -> bool:
    """Whether it is money of a payer that the chain has not confirmed."""
    return _is_payment(payment, "pending", "confirmed")


def sources_of(payments: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Chains and addresses that the money came from, where Circle says so."""
    found = set()
    for payment in payments:
        sender = object_in(payment, "fromAddresses")
        chain, addresses = text_in(sender, "chain"), sender.get("addresses")
        if _is_payment(payment, "paid") and chain and isinstance(addresses, list):
            found |= {(chain, one) for one in addresses if isinstance(one, str) and one}
    return found


def _is_payment(document: Mapping[str, Any], *statuses: str) -> bool:
    return document.get("type") == "payment" and document.get("status") in statuses


def of_refund(refund: Mapping[str, Any], reply: Reply, assets: Assets) -> Answer:
    """Where a refund stands."""
    status = mapping.PAYMENT_STATUSES.get(text_in(refund, "status") or "")
    return _of_movement(refund, reply, status, assets)


def of_transfer(transfer: Mapping[str, Any], reply: Reply, assets: Assets) -> Answer:
    """Where a transfer stands."""
    status = mapping.TRANSFER_STATUSES.get(text_in(transfer, "status") or "")
    return _of_movement(transfer, reply, status, assets)


def _of_movement(
    document: Mapping[str, Any], reply: Reply, status: Status | None, assets: Assets
) -> Answer:
    if status is None or text_in(document, "id") is None:
        return unclear(document, reply)
    minor, code = assets.minor(document.get("amount"))
    return reply.answer(
        Outcome.OK,
        text_in(document, "errorCode") or "",
        status=status,
        provider_reference=text_in(document, "id"),
        amount_minor=minor if status is Status.SUCCEEDED else None,
        asset=code,
        cannot_happen=status is Status.FAILED,
        raw=kept(document),
    )


def not_there(reply: Reply) -> Answer:
    """Circle does not know a name that it gave us: no proof of anything."""
    if reply.status == HTTPStatus.NOT_FOUND and reply.outcome is Outcome.OUR_FAULT:
        return reply.answer(Outcome.OK, reply.cause, status=Status.NOT_FOUND)
    return reply.answer()
