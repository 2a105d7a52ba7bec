"""Queue an event for every endpoint that wants it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from invoiceos_contracts import PLATFORM, Event, encode
from messaging import Tx
from notification.store import deliveries as store
from notification.store.deliveries import NewDelivery, WebhookEvent


@dataclass(frozen=True, slots=True)
class Told:
    """A fact, and what its envelope says."""

    fact: Event
    id: UUID
    time: datetime


async def queue_webhooks(tx: Tx, events: Sequence[Told]) -> None:
    """Queue each event for each enabled endpoint of its tenant that asked for its type.

    Bodies are made only of events that somebody wants. The unique key of a delivery makes a
    second call with the same events do nothing.
    """
    told = {event.id: event for event in events if event.fact.tenant_id != PLATFORM}
    wanted = await store.subscribed(
        tx, [(event.fact.tenant_id, event.id, event.fact.TYPE) for event in told.values()]
    )
    if not wanted:
        return
    chosen = {event_id: told[event_id] for _, _, event_id in wanted}
    await store.insert_events(tx, [_event_of(event) for event in chosen.values()])
    await store.insert_deliveries(
        tx,
        [
            NewDelivery(tenant_id, tx.new_id(), endpoint_id, event_id)
            for tenant_id, endpoint_id, event_id in wanted
        ],
    )
    wake_senders(tx)


def wake_senders(tx: Tx) -> None:
    """Have the commit of this transaction wake the loops that talk to the outside."""
    tx.wake()


def _event_of(event: Told) -> WebhookEvent:
    fact = event.fact
    data = fact.model_dump(mode="json", exclude=set(fact.SENSITIVE))
    return WebhookEvent(
        tenant_id=fact.tenant_id,
        id=event.id,
        type=fact.TYPE,
        invoice_id=getattr(fact, "invoice_id", None),
        body=body_of(event.id, fact.TYPE, event.time, fact.tenant_id, data),
    )


def body_of(
    event_id: UUID, kind: str, time: datetime, tenant_id: UUID, data: dict[str, Any]
) -> bytes:
    """The bytes that are signed and sent, the same in every attempt."""
    return json.dumps(
        {
            "id": str(event_id),
            "type": kind,
            "timestamp": time.isoformat().replace("+00:00", "Z"),
            "tenant_id": encode("ten", tenant_id),
            "data": data,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
