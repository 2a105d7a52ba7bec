"""How operators see things through the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts.ids import TenantId


class View(BaseModel):
    """What is shown; attribute docstrings are its documentation."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class DeadLetterView(View):
    """A record that could not be handled, or waits behind one of its key."""

    service: str
    id: UUID
    state: str
    """dead, parked, replaying, resolved or discarded."""
    consumer: str
    topic: str
    partition: int
    offset: int
    key: str | None
    event_id: UUID | None
    type: str | None
    tenant_id: TenantId
    cause: str
    """envelope, contract, handler or behind."""
    error: str
    attempts: int
    created_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, service: str, row: Mapping[str, Any]) -> Self:
        """From a row of the library."""
        return cls(**_named(service, row))


class DeadLetterDetail(DeadLetterView):
    """A dead letter in full."""

    headers: Sequence[tuple[str, str]]
    payload: str | None
    """As text, as far as it is some."""
    behind: Sequence[DeadLetterView]
    """What waits behind it by key, the first hundred."""
    behind_count: int

    @classmethod
    def of(cls, service: str, row: Mapping[str, Any]) -> Self:
        """From a row of the library."""
        behind = [DeadLetterView.of(service, letter) for letter in row["behind"]]
        return cls(**_named(service, row) | {"behind": behind})


def _named(service: str, row: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {
        "offset": row["record_offset"],
        "key": row["record_key"],
        "cause": row["reason"],
        "closed_at": row["resolved_at"],
    }
    return {"service": service, **row, **renamed}


class Letters(View):
    """Dead letters of one service."""

    items: Sequence[DeadLetterView]


class Released(View):
    """How many letters are handled again."""

    service: str
    released: int


class Discarded(View):
    """How many letters were set aside, and how many are handled now that waited behind them."""

    service: str
    discarded: int
    released: int


class ParkedRow(View):
    """A fact the broker refused; its key waits."""

    seq: int
    topic: str
    key: str
    type: str
    event_id: UUID
    bytes: int
    cause: str
    behind: int
    """Facts of the same key that wait."""


class ShardOwner(View):
    """A database session that sends some shards."""

    pid: int
    session: str
    shards: Sequence[int]


class Shards(View):
    """Who sends."""

    all: int
    owned: int
    owners: Sequence[ShardOwner]


class BacklogView(View):
    """What a service has not sent yet."""

    service: str
    waiting: int
    parked: int
    oldest_at: datetime | None
    oldest_age_s: float | None
    staged_total: int
    """Facts stated since `counted_since`; the difference of two answers is a rate."""
    sent_total: int
    counted_since: datetime
    at: datetime
    parked_rows: Sequence[ParkedRow]
    shards: Shards


class FailingTimer(View):
    """A timer whose handler failed."""

    kind: str
    ref: str
    tenant_id: TenantId
    attempts: int
    due_at: datetime
    error: str | None


class TimerKind(View):
    """The timers of a kind."""

    kind: str
    waiting: int
    due: int
    overdue: int
    """Due for more than ten seconds."""
    failing: int
    next_at: datetime
    worst: Sequence[FailingTimer]


class TimersView(View):
    """The timers of a service."""

    service: str
    kinds: Sequence[TimerKind]


class EntryView(View):
    """Something that happened or waits in the life of an invoice."""

    kind: str
    """event, unsent, handled, dead letter, timer, request, or what the service calls it."""
    at: datetime
    service: str
    title: str
    id: UUID | None = None
    """Id of the event, of an event."""
    cause: UUID | None = None
    """The event it follows from."""
    subject: str | None = None
    details: Mapping[str, Any]
    tenant_id: UUID | None = None


class Entries(View):
    """What one service answers."""

    entries: Sequence[EntryView]

    @classmethod
    def of(cls, entries: Sequence[Mapping[str, Any]]) -> Self:
        """From what the library found."""
        return cls(entries=[EntryView.model_validate(entry) for entry in entries])
