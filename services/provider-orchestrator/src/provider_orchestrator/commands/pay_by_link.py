"""Whoever holds a payment link pays its invoice: one intent, however often somebody presses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from invoiceos_contracts.base import DocumentStatus
from messaging import Refusal, Tx
from provider_orchestrator.commands.create_intents import NewIntent, Part, create_intents
from provider_orchestrator.commands.follow_intents import GiveUp, give_up_intents
from provider_orchestrator.domain.intents import Intent, IntentState
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.errors import (
    InvoiceNotPayable,
    MethodNotOffered,
    PaymentLinkNotFound,
    PaymentUnderWay,
    TooManyTries,
)
from provider_orchestrator.store import link_payments as store
from provider_orchestrator.store.invoices import (
    Payable,
    lock_payables,
    select_links,
    with_what_is_on_the_way,
)

LINK = "payment-link"
"""Who began it: the holder of a link, who has no account."""
LIVES = timedelta(hours=1)
TRIES_MAX = 20
"""Intents of one invoice that links begin in a day: each costs calls of a provider."""
_BEING_MADE = frozenset({IntentState.CREATED, IntentState.ROUTED, IntentState.SUBMITTED})
Key = tuple[UUID, UUID]
Way = Intent | Refusal | NewIntent | GiveUp


@dataclass(frozen=True, slots=True)
class PayByLink:
    """The holder of a link wants to pay in this way."""

    tenant_id: UUID
    link_hash: bytes
    method: str
    return_url: str
    offers: Sequence[Capabilities]
    """What this platform can take."""


async def pay_by_link(tx: Tx, requests: Sequence[PayByLink]) -> list[Intent | Refusal]:
    """The intent each pays with: the one there is, or a new one for what is still owed.

    An intent that waits for the payer in another way, or for another amount, is given up first: its
    answer is that intent, and whoever asked asks again once it has ended.
    """
    links = await select_links(tx, sorted({(r.tenant_id, r.link_hash) for r in requests}))
    keys = sorted({(tenant, invoice) for (tenant, _), invoice in links.items()})
    payables = await lock_payables(tx, keys)
    live = await store.lock_live(tx, keys)
    payables = await with_what_is_on_the_way(tx, payables)
    tried = await store.count_begun(tx, keys, LINK, tx.now - timedelta(days=1))
    ways: list[tuple[Key, Way]] = []
    for request in requests:
        invoice = links.get((request.tenant_id, request.link_hash))
        key = (request.tenant_id, invoice or request.tenant_id)
        way: Way = PaymentLinkNotFound()
        if invoice is not None:
            way = _way(request, payables[key], live.get(key), tried.get(key, 0))
        ways.append((key, way))
    done = await _carried_out(tx, ways)
    return [way if isinstance(way, Intent | Refusal) else done[key] for key, way in ways]


def _way(request: PayByLink, payable: Payable, live: Intent | None, tried: int) -> Way:
    """What is to be done: nothing where there is an intent already, or a refusal."""
    if payable.expired or payable.document != DocumentStatus.OPEN or payable.due_minor == 0:
        return InvoiceNotPayable()
    if not _offered(request, payable):
        return MethodNotOffered()
    if live is None:
        return TooManyTries() if tried >= TRIES_MAX else _wanted(request, payable)
    return _joined(request, payable, live)


def _joined(request: PayByLink, payable: Payable, live: Intent) -> Way:
    """What becomes of the payment that is under way."""
    if live.created_by != LINK:
        return PaymentUnderWay()
    same = live.method == request.method and live.amount_minor == payable.owed_minor
    if same or live.giving_up is not None or live.state in _BEING_MADE:
        return live
    if live.state is not IntentState.REQUIRES_ACTION:
        return PaymentUnderWay()
    return GiveUp(live.tenant_id, live.id, IntentState.CANCELED, "another_way")


async def _carried_out(tx: Tx, ways: Sequence[tuple[Key, Way]]) -> dict[Key, Intent | Refusal]:
    """By invoice: requests for one that wait at the same moment are one."""
    new: dict[Key, NewIntent] = {}
    over: dict[Key, GiveUp] = {}
    for key, way in ways:
        if isinstance(way, NewIntent):
            new.setdefault(key, way)
        elif isinstance(way, GiveUp):
            over.setdefault(key, way)
    made = await create_intents(tx, list(new.values())) if new else []
    given_up = await give_up_intents(tx, list(over.values())) if over else []
    return dict(zip([*new, *over], [*made, *given_up], strict=True))


def _offered(request: PayByLink, payable: Payable) -> bool:
    return any(
        request.method in can.methods
        and Operation.COLLECT in can.operations
        and payable.asset in can.assets
        and payable.owed_minor <= can.amount_max_minor
        for can in request.offers
    )


def _wanted(request: PayByLink, payable: Payable) -> NewIntent:
    return NewIntent(
        tenant_id=payable.tenant_id,
        parts=(Part(payable.invoice_id),),
        method=request.method,
        payer_country=None,
        instrument=None,
        manual_capture=False,
        description=f"Invoice {payable.number}" if payable.number else "Invoice",
        return_url=request.return_url,
        lives=LIVES,
        actor=LINK,
    )
