"""What can be read of payments that are collected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts import Amount
from invoiceos_contracts.ids import InvoiceId, PaymentId, PaymentIntentId, PublicId
from messaging import Tx
from provider_orchestrator.domain.attempts import PERSON_AFTER
from provider_orchestrator.domain.intents import Intent, IntentState
from provider_orchestrator.errors import IntentNotFound

AttemptId = Annotated[UUID, PublicId("pat")]


class _View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ShareView(_View):
    """What is paid of one invoice."""

    payment_id: PaymentId
    """Of the payment that this becomes once it is captured."""
    invoice_id: InvoiceId
    amount: Amount


class AttemptView(_View):
    """One operation at one provider."""

    id: AttemptId
    kind: str
    """collect, capture or void; more may come."""
    number: int
    provider: str
    rail: str
    state: str
    """created, sent, unknown, captured, declined, rejected or absent; more may come."""
    cause: str
    provider_reference: str | None
    created_at: datetime
    decision_id: UUID | None
    """Of the decision that chose this provider: `/api/v1/routing/decisions/{id}`."""
    decision_reason: str | None
    """Why it was this one, in one word."""


class ActionView(_View):
    """What the payer has to do next."""

    kind: str
    """redirect or deposit; more may come."""
    url: str | None = None
    address: str | None = None
    chain: str | None = None
    expires_at: str | None = None


class IntentView(_View):
    """One try to collect."""

    id: PaymentIntentId
    state: str
    """As in the table of states; more may come."""
    cause: str | None
    amount: Amount
    captured: Amount
    method: str | None
    capture: str
    """automatic or manual."""
    action: ActionView | None
    payments: Sequence[ShareView]
    attempts: Sequence[AttemptView]
    """Of one intent; empty in lists and in answers to writes."""
    expires_at: datetime
    created_at: datetime


class UnknownView(_View):
    """An attempt whose outcome nobody knows."""

    attempt_id: AttemptId
    intent_id: PaymentIntentId
    kind: str
    provider: str
    rail: str
    amount: Amount
    provider_reference: str | None
    cause: str
    unknown_since: datetime
    inquiries: int


_INTENT = """
    i.id, i.state, i.cause, i.amount_minor, i.asset, i.captured_minor, i.method, i.manual_capture,
    i.action, i.expires_at, i.created_at
"""


@dataclass(frozen=True, slots=True)
class LinkIntent:
    """What the holder of a link waits for."""

    state: IntentState
    method: str | None
    giving_up: str | None
    captured_minor: int
    url: str | None


async def intent_of_link(tx: Tx, tenant_id: UUID, intent_id: UUID) -> LinkIntent:
    """How it stands with an intent, and where the payer has to go."""
    row = await tx.fetchrow(
        """
        select state, method, giving_up, captured_minor, action ->> 'url' as url
        from payment_intent where tenant_id = $1 and id = $2
        """,
        tenant_id,
        intent_id,
    )
    if row is None:
        raise IntentNotFound
    return LinkIntent(**{**row, "state": IntentState(row["state"])})


def view_of(intent: Intent) -> IntentView:
    """An intent as a command left it."""
    known = {name: getattr(intent, name) for name in _COLUMNS}
    shares = [
        _share(one.payment_id, one.invoice_id, one.amount_minor, intent.asset)
        for one in intent.shares
    ]
    return _intent(known, shares, ())


_COLUMNS = tuple(name.strip().removeprefix("i.") for name in _INTENT.split(","))


def _share(payment: UUID, invoice: UUID, minor: int, asset: str) -> ShareView:
    amount = Amount(amount_minor=minor, asset=asset)
    return ShareView(payment_id=payment, invoice_id=invoice, amount=amount)


def _intent(
    row: Mapping[str, Any], shares: Sequence[ShareView], attempts: Sequence[AttemptView]
) -> IntentView:
    action = row["action"]
    return IntentView(
        id=row["id"],
        state=row["state"],
        cause=row["cause"],
        amount=Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
        captured=Amount(amount_minor=row["captured_minor"], asset=row["asset"]),
        method=row["method"],
        capture="manual" if row["manual_capture"] else "automatic",
        action=None if action is None else ActionView.model_validate(dict(action)),
        payments=shares,
        attempts=attempts,
        expires_at=row["expires_at"],
        created_at=row["created_at"],
    )


async def intent_of(tx: Tx, tenant_id: UUID, intent_id: UUID) -> IntentView:
    """One intent; raises `IntentNotFound`."""
    row = await tx.fetchrow(
        f"select {_INTENT} from payment_intent as i where tenant_id = $1 and id = $2",
        tenant_id,
        intent_id,
    )
    if row is None:
        raise IntentNotFound
    attempts = await tx.fetch(
        """
        select id, kind, number, provider, rail, state, cause, provider_reference, created_at,
               decision_id, decision_reason
        from payment_attempt where tenant_id = $1 and intent_id = $2 order by created_at, number
        """,
        tenant_id,
        intent_id,
    )
    shares = await _shares(tx, tenant_id, [row])
    return _intent(row, shares.get(row["id"], []), [AttemptView(**one) for one in attempts])


async def intents_of(
    tx: Tx,
    tenant_id: UUID,
    *,
    invoice_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[IntentView]:
    """The newest intents."""
    rows = await tx.fetch(
        f"""
        select {_INTENT} from payment_intent as i
        where i.tenant_id = $1 and ($2::text is null or i.state = $2)
          and ($3::uuid is null or i.id < $3)
          and ($4::uuid is null or exists (
            select from payment_share as s
            where s.tenant_id = i.tenant_id and s.intent_id = i.id and s.invoice_id = $4))
        order by i.id desc limit $5
        """,
        tenant_id,
        state,
        after,
        invoice_id,
        limit,
    )
    shares = await _shares(tx, tenant_id, rows)
    return [_intent(row, shares.get(row["id"], []), ()) for row in rows]


async def _shares(tx: Tx, tenant_id: UUID, intents: Sequence[Any]) -> dict[UUID, list[ShareView]]:
    rows = await tx.fetch(
        """
        select intent_id, payment_id, invoice_id, amount_minor from payment_share
        where tenant_id = $1 and intent_id = any($2::uuid[]) order by intent_id, place
        """,
        tenant_id,
        [one["id"] for one in intents],
    )
    assets = {one["id"]: one["asset"] for one in intents}
    found: dict[UUID, list[ShareView]] = {}
    for row in rows:
        asset = assets[row["intent_id"]]
        share = _share(row["payment_id"], row["invoice_id"], row["amount_minor"], asset)
        found.setdefault(row["intent_id"], []).append(share)
    return found


async def unknown_of(
    tx: Tx, tenant_id: UUID, *, after: UUID | None, limit: int
) -> list[UnknownView]:
    """Attempts that wait for a person, the newest first."""
    rows = await tx.fetch(
        """
        select id as attempt_id, intent_id, kind, provider, rail, amount_minor, asset,
               provider_reference, cause, unknown_since, inquiries
        from payment_attempt
        where tenant_id = $1 and state = 'unknown' and unknown_since <= $2
          and ($3::uuid is null or id < $3)
        order by id desc limit $4
        """,
        tenant_id,
        tx.now - PERSON_AFTER,
        after,
        limit,
    )
    return [
        UnknownView(
            amount=Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
            **{name: row[name] for name in UnknownView.model_fields if name != "amount"},
        )
        for row in rows
    ]
