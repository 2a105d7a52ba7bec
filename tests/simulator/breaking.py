"""Faults of our own, planted on demand, so that the simulator can be seen to notice them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock
from uuid import UUID

import messaging.consumer
import messaging.inbox
import messaging.relay


async def _every_event_is_new(tx: Any, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    del tx, consumer
    return set(event_ids)


async def _deleted_first(relay: Any) -> int:
    rows = await relay._connection.fetch(
        "delete from outbox where shard = any($1::smallint[]) returning *", sorted(relay.owned)
    )
    await relay._send(sorted(rows, key=lambda row: row["seq"]))
    return len(rows)


async def _passed_by(offsets: Any, records: Sequence[Any]) -> None:
    for record in records:
        place = messaging.consumer.TopicPartition(record.topic, record.partition)
        offsets._done[place] = record.offset + 1
    await offsets.commit()
    await offsets._processor.process(records)


BREAKS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no-inbox": lambda: mock.patch.object(messaging.inbox, "mark", _every_event_is_new),
    "delete-before-ack": lambda: mock.patch.object(
        messaging.relay.Relay, "publish", _deleted_first
    ),
    "commit-before-effect": lambda: mock.patch.object(
        messaging.consumer.Offsets, "handle", _passed_by
    ),
}
"""What can be planted, by name."""
HARDER: dict[str, dict[str, float]] = {"delete-before-ack": {"append_refused": 0.3}}
"""What the broker does more often then, so that few seeds are enough to notice."""
