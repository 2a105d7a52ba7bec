"""Records of partners' topics: requests are let in, what is none is turned away with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from gateway.domain.partners import (
    Partner,
    Rejected,
    Request,
    examine,
    id_of_rejection,
)
from gateway.settings import sealer
from gateway.store import partners as store
from gateway.store.partners import Entry
from invoiceos_contracts import Sealed, encode
from invoiceos_contracts.partner_v1 import (
    InvoiceRequested,
    InvoiceRequestRejected,
    InvoiceTerms,
    RecordPlace,
)
from invoiceos_contracts.registry import REQUESTS
from messaging import Arrived, RetryLater, Tx, Unreadable

log = structlog.get_logger()


@dataclass(slots=True)
class _Decided:
    """What one batch comes to."""

    entries: list[Entry] = field(default_factory=list)
    facts: list[InvoiceRequested | InvoiceRequestRejected] = field(default_factory=list)
    strangers: list[Unreadable] = field(default_factory=list)


async def admit_requests(tx: Tx, records: Sequence[Arrived]) -> list[Unreadable]:
    """State `InvoiceRequested` or `InvoiceRequestRejected` of each record.

    A request that was let in before is let be: the same id and body name the same request. Gives
    back the records of topics that belong to no active partner; nobody can be answered there.
    """
    names = {item.id: REQUESTS.partner_of(item.record.topic) or "" for item in records}
    partners = await store.partners_named(tx, names.values())
    examined = [(item, partners.get(names[item.id])) for item in records]
    verdicts = [
        (item, partner, _examined(partner, item))
        for item, partner in examined
        if partner is not None and partner.is_active
    ]
    known = await store.known_requests(
        tx, [(p.name, found.request_id) for _, p, found in verdicts if isinstance(found, Request)]
    )
    decided = _Decided(strangers=[_stranger(i, p) for i, p in examined if not (p and p.is_active)])
    for item, partner, found in verdicts:
        _decide(decided, item, partner, found, known)
    if decided.entries:
        stored = await store.insert_entries(tx, decided.entries)
        if any(e.state == "requested" and e.id not in stored for e in decided.entries):
            raise RetryLater("another process lets the same requests in at this moment")
        tx.stage(fact for fact in decided.facts if fact.invoice_request_id in stored)
    return decided.strangers


def _examined(partner: Partner, item: Arrived) -> Request | Rejected:
    try:
        return examine(partner, item.record.headers, item.record.value)
    except Rejected as rejected:
        return rejected


def _stranger(item: Arrived, partner: Partner | None) -> Unreadable:
    reason = "partner_revoked" if partner else "partner_unknown"
    log.warning("partner.turned_away", topic=item.record.topic, reason=reason)
    return Unreadable(item.record, reason, f"{item.record.topic} is no active partner's topic")


def _decide(
    decided: _Decided,
    item: Arrived,
    partner: Partner,
    found: Request | Rejected,
    known: dict[tuple[str, str], bytes],
) -> None:
    if isinstance(found, Request):
        name = (partner.name, found.request_id)
        before = known.setdefault(name, found.body_hash)
        if before is found.body_hash:
            decided.entries.append(_entry(item, partner, found))
            decided.facts.append(_requested(partner, found))
            return
        if before == found.body_hash:
            return
        found = Rejected(
            "request_id_reused",
            "This ce_id came with another body before; give a new request a new id",
            request_id=found.request_id,
        )
    decided.entries.append(_entry(item, partner, found))
    decided.facts.append(_rejected(item, partner, found))


def _entry(item: Arrived, partner: Partner, found: Request | Rejected) -> Entry:
    rejected = isinstance(found, Rejected)
    return Entry(
        tenant_id=partner.tenant_id,
        id=id_of_rejection(partner, item.id) if isinstance(found, Rejected) else found.id,
        partner=partner.name,
        request_id=found.request_id,
        state="rejected" if rejected else "requested",
        code=found.code if isinstance(found, Rejected) else None,
        body_hash=None if isinstance(found, Rejected) else found.body_hash,
        partition=item.record.partition,
        record_offset=item.record.offset,
    )


def _requested(partner: Partner, request: Request) -> InvoiceRequested:
    body = request.body
    return InvoiceRequested(
        tenant_id=partner.tenant_id,
        invoice_request_id=request.id,
        partner=partner.name,
        request_id=request.request_id,
        invoice=InvoiceTerms(**{name: getattr(body, name) for name in InvoiceTerms.model_fields}),
        customer=_sealed_customer(request),
    )


def _sealed_customer(request: Request) -> Sealed | None:
    customer = request.body.customer
    if customer is None:
        return None
    subject = encode("req", request.id)
    return sealer().seal(
        customer.model_dump_json(), subject=subject, data_key=sealer().new_data_key()
    )


def _rejected(item: Arrived, partner: Partner, found: Rejected) -> InvoiceRequestRejected:
    record = item.record
    return InvoiceRequestRejected(
        tenant_id=partner.tenant_id,
        invoice_request_id=id_of_rejection(partner, item.id),
        partner=partner.name,
        request_id=found.request_id,
        code=found.code,
        detail=found.detail,
        problems=found.problems,
        where=RecordPlace(topic=record.topic, partition=record.partition, offset=record.offset),
    )
