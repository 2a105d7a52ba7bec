"""Transactional messaging: a batch is the unit of work, and nothing is lost, doubled or reordered.

See `docs/adr/0002-outbox-and-relay.md` and `docs/adr/0003-consumers.md` for the reasons.
"""

from messaging.access import KafkaAccess
from messaging.consumer import Consumer
from messaging.consuming import (
    Batch,
    RecordSubscription,
    RecordSubscriptions,
    Subscription,
    Subscriptions,
    consumes,
    reads_records,
)
from messaging.database import Database
from messaging.errors import Kind, Overloaded, Refusal, RetryLater
from messaging.failpoints import failpoint
from messaging.idempotency import Answer, RequestKey
from messaging.processing import Processor
from messaging.records import Arrived, Received, Unreadable
from messaging.relay import OutboxSignal, Relay
from messaging.timers import Timer, TimerHandler, TimerLoop
from messaging.transaction import Tx
from messaging.writer import Command, Writer

__all__ = [
    "Answer",
    "Arrived",
    "Batch",
    "Command",
    "Consumer",
    "Database",
    "KafkaAccess",
    "Kind",
    "OutboxSignal",
    "Overloaded",
    "Processor",
    "Received",
    "RecordSubscription",
    "RecordSubscriptions",
    "Refusal",
    "Relay",
    "RequestKey",
    "RetryLater",
    "Subscription",
    "Subscriptions",
    "Timer",
    "TimerHandler",
    "TimerLoop",
    "Tx",
    "Unreadable",
    "Writer",
    "consumes",
    "failpoint",
    "reads_records",
]
