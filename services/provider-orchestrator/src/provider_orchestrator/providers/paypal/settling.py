"""What PayPal tells of money it has collected: the breakdown of its captures."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from provider_orchestrator.domain.adapters import Order, ProviderFault, StatementLine, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.provider_payouts import PayoutSaid, PayoutState
from provider_orchestrator.domain.settling import Settlement
from provider_orchestrator.providers.documents import moment, objects_in, text_in
from provider_orchestrator.providers.exchange import Senseless
from provider_orchestrator.providers.paypal import answers, disputes
from provider_orchestrator.providers.paypal.client import PayPalClient, quoted
from provider_orchestrator.providers.paypal.mapping import line_of, payments_of

_LATER = "DELAYED"
"""Held back until we ask for it: when is not said here."""


async def settlement(
    client: PayPalClient, order: Order, known_disputes: Sequence[str]
) -> Settlement:
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
    named = tuple(name for one in captures if (name := text_in(one, "id")))
    try:
        said, names = await disputes.of_captures(client, named, known_disputes)
    except disputes.NotTold as error:
        return Settlement(Outcome.UNKNOWN if error.reply.ok else error.reply.outcome, "disputes")
    except Senseless:
        return Settlement(Outcome.UNKNOWN, "unreadable")
    known: list[datetime] = [at for at in times if at is not None]
    return Settlement(
        told.outcome,
        told.cause,
        fee_minor=told.fee_minor if done else None,
        available_at=max(known) if done and not held and len(known) == len(captures) else None,
        disputes=tuple(said),
        names=(*named, *names),
    )


_WINDOW = timedelta(days=30)


async def statement(
    client: PayPalClient, since: datetime, until: datetime
) -> AsyncIterator[StatementLine]:
    """Transactions, the oldest first; PayPal tells of 31 days at once."""
    start = since
    while start < until:
        end = min(until, start + _WINDOW)
        found = [one async for one in _lines(client, start, end) if start <= one.at < end]
        for line in sorted(found, key=lambda one: one.at):
            yield line
        start = end


async def _lines(
    client: PayPalClient, start: datetime, end: datetime
) -> AsyncIterator[StatementLine]:
    page, pages = 1, 1
    while page <= pages:
        reply = await client.get(
            "/v1/reporting/transactions",
            start_date=start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            end_date=end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            fields="transaction_info",
            page_size="500",
            page=str(page),
        )
        told = reply.body.get("total_pages")
        if not reply.ok or type(told) is not int:
            raise reply.fault()
        try:
            for one in objects_in(reply.body, "transaction_details"):
                yield line_of(one)
        except Senseless as error:
            raise ProviderFault(Outcome.UNKNOWN, "unreadable") from error
        page, pages = page + 1, told


_PAYOUTS = {"P": PayoutState.ANNOUNCED, "S": PayoutState.ARRIVED}
"""States of a transaction; all others (D, V, F) say that it did not go."""
_TO_BANK = "T04"
"""Withdrawals from our account there, in PayPal's codes of transactions."""


async def payouts_in(lines: AsyncIterator[StatementLine]) -> Sequence[PayoutSaid]:
    """Withdrawals to our bank: PayPal tells of them on the statement alone."""
    return [
        PayoutSaid(
            reference=line.id,
            state=_PAYOUTS.get(str(line.raw.get("transaction_status")), PayoutState.FAILED),
            amount_minor=-line.gross_minor,
            asset=line.asset,
            made_at=line.at,
            cause="withdrawal_failed",
        )
        async for line in lines
        if line.gross_minor < 0 and str(line.raw.get("transaction_event_code")).startswith(_TO_BANK)
    ]
