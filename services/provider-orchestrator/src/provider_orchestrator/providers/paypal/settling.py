"""What PayPal tells of money it has collected: the breakdown of its captures."""

from datetime import datetime

from provider_orchestrator.domain.adapters import Order, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.settling import Settlement
from provider_orchestrator.providers.documents import moment, text_in
from provider_orchestrator.providers.exchange import Senseless
from provider_orchestrator.providers.paypal import answers
from provider_orchestrator.providers.paypal.client import PayPalClient, quoted
from provider_orchestrator.providers.paypal.mapping import payments_of

_LATER = "DELAYED"
"""Held back until we ask for it: when is not said here."""


async def settlement(client: PayPalClient, order: Order) -> Settlement:
    """How a captured payment stands; what cannot be read is asked for again."""
    reply = await client.get(f"/v2/checkout/orders/{quoted(order.provider_reference or '')}")
    if not reply.ok:
        return Settlement(reply.outcome, reply.cause)
    try:
        captures = payments_of(reply.body, "captures")
        told = answers.of_order(reply.body, reply)
        done = told.status is Status.SUCCEEDED
        times = [moment(one.get("update_time") or one.get("create_time")) for one in captures]
        held = any(one.get("disbursement_mode") == _LATER for one in captures)
    except Senseless:
        return Settlement(Outcome.UNKNOWN, "unreadable")
    known: list[datetime] = [at for at in times if at is not None]
    return Settlement(
        told.outcome,
        told.cause,
        fee_minor=told.fee_minor if done else None,
        available_at=max(known) if done and not held and len(known) == len(captures) else None,
        names=tuple(name for one in captures if (name := text_in(one, "id"))),
    )
