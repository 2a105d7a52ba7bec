"""What Stripe tells of money it has collected: balance transactions and disputes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from provider_orchestrator.domain.adapters import Order, ProviderFault
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.provider_payouts import PayoutSaid, PayoutState
from provider_orchestrator.domain.settling import DisputeSaid, DisputeState, Settlement
from provider_orchestrator.providers.exchange import Reply, Senseless
from provider_orchestrator.providers.stripe import mapping
from provider_orchestrator.providers.stripe.client import StripeClient, items
from provider_orchestrator.providers.stripe.mapping import object_in, text_in

_STATES = {
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}
_NO_MONEY = frozenset(
    ["warning_needs_response", "warning_under_review", "warning_closed", "prevented"]
)
"""Questions of a bank that took nothing back."""


async def settlement(client: StripeClient, order: Order, known: Sequence[str]) -> Settlement:
    """How a captured payment stands; what cannot be read is asked for again."""
    try:
        return await _settlement(client, order, known)
    except Senseless:
        return Settlement(Outcome.UNKNOWN, "unreadable")


async def _settlement(client: StripeClient, order: Order, known: Sequence[str]) -> Settlement:
    reference = order.provider_reference or ""
    on_page = reference.startswith("cs_")
    path = (
        f"/v1/{'checkout/sessions' if on_page else 'payment_intents'}/{quote(reference, safe='')}"
    )
    charged = "latest_charge.balance_transaction"
    reply = await client.get(path, expand=[f"payment_intent.{charged}" if on_page else charged])
    if not reply.ok:
        return _untold(reply)
    intent = object_in(reply.body, "payment_intent") if on_page else reply.body
    charge = object_in(intent, "latest_charge")
    _, code = mapping.minor_of(intent.get("amount_received"), intent.get("currency"))
    fee = mapping.fee_of(intent, code)
    found: dict[str, Mapping[str, Any]] = {}
    if charge.get("disputed") is True:
        about = text_in(intent, "id")
        reply = await client.get("/v1/disputes", payment_intent=about, limit=100)
        if not reply.ok:
            return _untold(reply)
        found = {str(one.get("id")): one for one in items(reply)}
    for name in known:
        if name not in found:
            reply = await client.get(f"/v1/disputes/{quote(name, safe='')}")
            if not reply.ok:
                return _untold(reply)
            found[name] = reply.body
    names = (reference, text_in(intent, "id"), text_in(charge, "id"), *found)
    return Settlement(
        Outcome.OK,
        fee_minor=fee.minor,
        available_at=fee.available_at,
        disputes=tuple(one for one in map(dispute_of, found.values()) if one is not None),
        names=tuple(dict.fromkeys(name for name in names if name)),
    )


def _untold(reply: Reply) -> Settlement:
    outcome = Outcome.UNKNOWN if reply.ok else reply.outcome
    return Settlement(outcome, reply.cause)


def dispute_of(document: Mapping[str, Any]) -> DisputeSaid | None:
    """A dispute for which money was taken; raises `Senseless` for words nobody knows."""
    word, reference = text_in(document, "status"), text_in(document, "id")
    taken = [one for one in document.get("balance_transactions") or () if isinstance(one, Mapping)]
    if word in _NO_MONEY or (word in _STATES and not taken):
        return None
    if word not in _STATES or reference is None:
        message = f"{str(word)[:40]!r} is no state of a dispute"
        raise Senseless(message)
    minor, code = mapping.minor_of(document.get("amount"), document.get("currency"))
    # The first of them took the money; a later one brings it back.
    fee, kept_in = mapping.minor_of(taken[0].get("fee"), taken[0].get("currency"))
    details = mapping.object_in(document, "evidence_details")
    return DisputeSaid(
        reference=reference,
        state=_STATES[word],
        amount_minor=minor,
        asset=code,
        reason=(text_in(document, "reason") or "general")[:100],
        fee_minor=fee if kept_in == code and fee >= 0 else None,
        respond_by=mapping.moment(details.get("due_by")),
    )


async def disputed_since(client: StripeClient, since: datetime) -> Sequence[tuple[str, str]]:
    """Disputes and the intents they are about; raises `ProviderFault`."""
    found: list[tuple[str, str]] = []
    async for page in client.pages("/v1/disputes", created={"gte": int(since.timestamp())}):
        if not page.ok:
            raise page.fault()
        for one in items(page):
            dispute, payment = text_in(one, "id"), text_in(one, "payment_intent")
            if dispute and payment:
                found.append((dispute, payment))
    return found


_PAYOUTS = {
    "pending": PayoutState.ANNOUNCED,
    "in_transit": PayoutState.ANNOUNCED,
    "paid": PayoutState.ARRIVED,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.FAILED,
}


async def payouts_since(client: StripeClient, since: datetime) -> Sequence[PayoutSaid]:
    """Payouts to our bank; raises `ProviderFault`."""
    found: list[PayoutSaid] = []
    try:
        async for page in client.pages("/v1/payouts", created={"gte": int(since.timestamp())}):
            if not page.ok:
                raise page.fault()
            found += [payout_of(one) for one in items(page)]
    except Senseless as error:
        raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
    return found


def payout_of(document: Mapping[str, Any]) -> PayoutSaid:
    """A payout; raises `Senseless` for words nobody knows."""
    word, reference = text_in(document, "status"), text_in(document, "id")
    made_at = mapping.moment(document.get("created"))
    if word not in _PAYOUTS or reference is None or made_at is None:
        message = f"{str(word)[:40]!r} is no state of a payout"
        raise Senseless(message)
    minor, code = mapping.minor_of(document.get("amount"), document.get("currency"))
    return PayoutSaid(
        reference=reference,
        state=_PAYOUTS[word],
        amount_minor=minor,
        asset=code,
        made_at=made_at,
        arrives_at=mapping.moment(document.get("arrival_date")),
        cause=text_in(document, "failure_code") or word,
    )
