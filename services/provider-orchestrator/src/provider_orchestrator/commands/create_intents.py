"""Somebody wants to pay: an intent takes the charge lease of its invoices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from invoiceos_contracts import encode
from invoiceos_contracts.base import DocumentStatus
from messaging import Refusal, Timer, Tx, failpoint
from provider_orchestrator.domain.collecting import created
from provider_orchestrator.domain.intents import Intent, IntentState, Share
from provider_orchestrator.domain.payment_rules import (
    PaymentFacts,
    Timeliness,
    judge,
)
from provider_orchestrator.errors import (
    AmountAboveDue,
    InvoiceNotPayable,
    InvoiceUnknown,
    MethodNotAllowed,
    PartialNotAllowed,
    PaymentUnderWay,
)
from provider_orchestrator.store import intents as store
from provider_orchestrator.store.invoices import Payable, lock_payables, with_what_is_on_the_way
from provider_orchestrator.store.payment_rules import (
    ActiveRules,
    Ruled,
    insert_ruled,
    select_active,
)

EXPIRY = "payment.expiry"
NOT_EXPECTED = frozenset({DocumentStatus.VOID, DocumentStatus.CLOSED})


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be paid of one invoice; all that it asks for where no amount is given."""

    invoice_id: UUID
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class NewIntent:
    """How somebody wants to pay what."""

    tenant_id: UUID
    parts: tuple[Part, ...]
    method: str | None
    payer_country: str | None
    instrument: str | None
    manual_capture: bool
    description: str
    return_url: str | None
    lives: timedelta
    actor: str


Payables = Mapping[tuple[UUID, UUID], Payable]


async def create_intents(tx: Tx, requests: Sequence[NewIntent]) -> list[Intent | Refusal]:
    """Begin to collect, where nobody else does for any of the invoices."""
    invoices = sorted({(r.tenant_id, part.invoice_id) for r in requests for part in r.parts})
    payables = await lock_payables(tx, invoices)
    taken = await store.leased(tx, invoices)
    payables = await with_what_is_on_the_way(tx, payables)
    rules = await select_active(tx, sorted({request.tenant_id for request in requests}))
    answers: list[Intent | Refusal] = []
    ruled: list[Ruled] = []
    for request in requests:
        made = _intent(tx, request, payables, taken)
        if isinstance(made, Intent):
            made, decided = _by_rules(made, payables, rules[request.tenant_id])
            ruled.append(decided)
        answers.append(made)
        if isinstance(made, Intent):
            taken |= {(made.tenant_id, share.invoice_id) for share in made.shares}
    intents = [made for made in answers if isinstance(made, Intent)]
    if intents:
        await store.insert_intents(tx, intents)
        tx.stage(fact for intent in intents for fact in created(intent))
        tx.schedule(Timer(EXPIRY, str(i.id), i.tenant_id, i.expires_at) for i in intents)
        tx.wake()
    if ruled:
        await insert_ruled(tx, ruled)
    if intents:
        failpoint("payment.intent_stored")
    return answers


_REFUSALS = {"method_not_allowed": MethodNotAllowed, "partial_not_allowed": PartialNotAllowed}


def _by_rules(
    intent: Intent, payables: Payables, active: ActiveRules
) -> tuple[Intent | Refusal, Ruled]:
    """The intent under the tenant's terms, or a refusal; and what was decided."""
    facts = _facts(intent, payables)
    verdict = judge(facts, active.rules)
    refused = verdict.refused
    ruled = Ruled(
        tenant_id=intent.tenant_id,
        intent_id=None if refused else intent.id,
        stage="begun",
        rules_version=active.version,
        facts=facts,
        verdict=verdict,
    )
    if refused is not None:
        return _REFUSALS[refused](rule=verdict.rule), ruled
    longest = verdict.terms.expires_in_s_max
    until = intent.expires_at
    if longest is not None:
        until = min(until, intent.created_at + timedelta(seconds=longest))
    under = replace(
        intent,
        manual_capture=verdict.manual_capture,
        expires_at=until,
        rules_version=active.version,
        rules_facts=facts,
        rules_verdict=verdict,
    )
    return under, ruled


def _facts(intent: Intent, payables: Payables) -> PaymentFacts:
    found = [payables[intent.tenant_id, share.invoice_id] for share in intent.shares]
    customers = {payable.customer_id for payable in found}
    timeliness = Timeliness.ON_TIME
    if any(payable.expired for payable in found):
        timeliness = Timeliness.EXPIRED
    elif any(payable.overdue for payable in found):
        timeliness = Timeliness.OVERDUE
    return PaymentFacts(
        amount_minor=intent.amount_minor,
        asset=intent.asset,
        owed_minor=sum(payable.owed_minor for payable in found),
        method=intent.method,
        payer_country=intent.payer_country,
        customer_id=customers.pop() if len(customers) == 1 else None,
        timeliness=timeliness,
        capture="manual" if intent.manual_capture else "automatic",
        at=intent.created_at,
    )


def _intent(
    tx: Tx, request: NewIntent, payables: Payables, taken: set[tuple[UUID, UUID]]
) -> Intent | Refusal:
    found = [payables.get((request.tenant_id, part.invoice_id)) for part in request.parts]
    shares: list[Share] = []
    for place, (part, payable) in enumerate(zip(request.parts, found, strict=True), start=1):
        if (refusal := _refusal(request, part, payable, taken)) is not None:
            return refusal
        assert payable is not None
        assert payable.wallet_id is not None
        share = Share(
            payment_id=tx.new_id(),
            invoice_id=part.invoice_id,
            wallet_id=payable.wallet_id,
            place=place,
            amount_minor=part.amount_minor or payable.owed_minor,
            due_minor=payable.due_minor,
        )
        shares.append(share)
    assets = {payable.asset for payable in found if payable is not None}
    if len(assets) > 1:
        return InvoiceNotPayable("Invoices in several currencies are paid one by one")
    return Intent(
        tenant_id=request.tenant_id,
        id=tx.new_id(),
        state=IntentState.CREATED,
        amount_minor=sum(share.amount_minor for share in shares),
        asset=assets.pop(),
        method=request.method,
        payer_country=request.payer_country,
        instrument=request.instrument,
        manual_capture=request.manual_capture,
        description=request.description,
        return_url=request.return_url,
        expires_at=tx.now + request.lives,
        created_by=request.actor,
        created_at=tx.now,
        shares=tuple(shares),
        route_at=tx.now,
    )


def _refusal(
    request: NewIntent, part: Part, payable: Payable | None, taken: set[tuple[UUID, UUID]]
) -> Refusal | None:
    invoice = encode("inv", part.invoice_id)
    if payable is None:
        return InvoiceUnknown(invoice_id=invoice)
    if payable.document in NOT_EXPECTED or payable.due_minor == 0:
        return InvoiceNotPayable(invoice_id=invoice)
    if (request.tenant_id, part.invoice_id) in taken or payable.owed_minor == 0:
        return PaymentUnderWay(invoice_id=invoice)
    if (part.amount_minor or 0) > payable.owed_minor:
        return AmountAboveDue(invoice_id=invoice, due_minor=payable.owed_minor)
    return None
