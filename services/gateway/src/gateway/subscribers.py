"""Kafka in: what partners ask for, what became of it, and the facts they want."""

from collections.abc import Sequence

from gateway.commands.admit_requests import admit_requests
from gateway.commands.tell_partners import Outcome, copy_facts, tell_outcomes
from invoiceos_contracts import Event
from invoiceos_contracts.partner_v1 import (
    InvoiceRequestAccepted,
    InvoiceRequestRefused,
    InvoiceRequestRejected,
)
from invoiceos_contracts.registry import PUBLISHED, REQUESTS
from messaging import Arrived, Batch, Tx, Unreadable, consumes, reads_records


@reads_records("partners", REQUESTS.pattern)
async def on_partner_records(tx: Tx, records: Sequence[Arrived]) -> Sequence[Unreadable]:
    """A partner wrote to its topic: the one place where its records are read."""
    return await admit_requests(tx, records)


@consumes(InvoiceRequestAccepted, InvoiceRequestRefused, InvoiceRequestRejected)
async def on_outcome(tx: Tx, events: Batch[Outcome]) -> None:
    """A request has its outcome: its partner is told."""
    await tell_outcomes(tx, events)


@consumes(*PUBLISHED)
async def on_fact(tx: Tx, events: Batch[Event]) -> None:
    """A fact of a tenant: its partners get the copies they want."""
    await copy_facts(tx, events)


SUBSCRIPTIONS = (on_outcome, on_fact)
