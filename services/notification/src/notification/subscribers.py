"""Kafka in: every fact of a tenant, to webhooks and to mails."""

from invoiceos_contracts import Event
from invoiceos_contracts.registry import PUBLISHED
from messaging import Batch, Tx, consumes
from notification.commands.queue_mails import queue_mails
from notification.commands.queue_webhooks import Told, queue_webhooks


@consumes(*PUBLISHED)
async def on_fact(tx: Tx, events: Batch[Event]) -> None:
    """Queue what endpoints asked for and what recipients are told."""
    told = [Told(event.fact, event.id, event.envelope.time) for event in events]
    await queue_webhooks(tx, told)
    await queue_mails(tx, told)
