"""Events that come twice, late, out of order, in masses, or as rubbish."""

from __future__ import annotations

import asyncio
import random
import signal
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.torture.arena import Arena, Fault
from tests.torture.poison import (
    KINDS,
    Poison,
    readers,
    release,
    until_parked,
    until_put_aside,
)
from tests.torture.topics import Place, facts_topics, last_facts, producing, send_copies

from invoiceos_contracts.invoice_v1 import InvoicePaid

COPIES_EACH = 250
"""Of each partition in one strike."""
BACKLOG = 10_000


@dataclass
class DoubledAndShuffled:
    """What was published comes again, in any order between keys and within a key."""

    name: str = "events.doubled_and_shuffled"
    sentence: str = (
        f"the last {COPIES_EACH} records of each partition are published once more, shuffled,"
        " while the load goes on"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        records = await last_facts(arena.kafka, facts_topics(), COPIES_EACH)
        chooser.shuffle(records)
        again = chooser.sample(records, len(records) // 3)
        await send_copies(arena.kafka, records + again)
        arena.hit("events sent again", len(records) + len(again))
        return len(records) + len(again)


@dataclass
class Backlog:
    """A consumer that was away comes back to more than it can poll at once."""

    name: str = "events.backlog"
    sentence: str = (
        f"a service stands still until {BACKLOG} events wait for it, doubles and fresh ones mixed,"
        " and is then killed"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        reader = chooser.choice([r for r in readers() if r.service != "gateway"])
        arena.kill(reader.service, signal.SIGSTOP)
        try:
            records = await last_facts(arena.kafka, reader.topics, BACKLOG)
            chooser.shuffle(records)
            many = (records * (BACKLOG // max(1, len(records)) + 1))[:BACKLOG]
            await send_copies(arena.kafka, many)
            await asyncio.sleep(2)
        finally:
            arena.kill(reader.service)
        arena.hit("events in a backlog", len(many))
        return len(many)


@dataclass
class PoisonedBatches:
    """Rubbish on keys of its own: first, in the middle and last among good records."""

    name: str = "events.poison"
    sentence: str = (
        "records that break the contract (schema, tenant, UTF-8, version, nesting, 900 KB, no"
        " headers, no value) come first, in the middle and last in a batch of good ones; each"
        " must be put aside and nothing else"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        everyone = readers()
        topic = chooser.choice(sorted({name for reader in everyone for name in reader.topics}))
        models = [
            record
            for record in await last_facts(arena.kafka, [topic], COPIES_EACH)
            if any(_type_of(record) in reader.types for reader in everyone)
        ]
        if not models:
            return 0
        poisons = [kind(chooser.choice(models)) for kind in KINDS]
        chooser.shuffle(poisons)
        partition = chooser.choice(models).partition
        placed = await self._send(arena, topic, partition, poisons, models)
        arena.hit(f"poison on {topic}", len(placed))
        await until_put_aside(arena, everyone, placed)
        return len(placed)

    async def _send(
        self, arena: Arena, topic: str, partition: int, poisons: list[Poison], models: list[Any]
    ) -> dict[Place, Poison]:
        """One run of records: rubbish, good ones, rubbish, good ones, rubbish."""
        third = len(poisons) // 3
        good = [model for model in models if model.partition == partition][:40]
        batch: list[Any] = [*poisons[:third], *good[:20], *poisons[third:-third]]
        batch += [*good[20:], *poisons[-third:]]
        placed = {}
        async with producing(arena.kafka) as producer:
            sent = []
            for item in batch:
                poison = item if isinstance(item, Poison) else None
                key = uuid.uuid4().hex.encode() if poison else item.key
                headers = list(item.headers)
                future = await producer.send(
                    topic, item.value, key=key, partition=partition, headers=headers
                )
                sent.append((poison, future))
            for poison, future in sent:
                found = await future
                if poison:
                    placed[Place(topic, partition, found.offset)] = poison
                    arena.rubbish.add((topic, partition, found.offset))
        return placed


@dataclass
class PoisonedKey:
    """Rubbish on the key of a living invoice: what follows on the key waits, and is not lost."""

    name: str = "events.poisoned_key"
    sentence: str = (
        "a broken record comes on the key of an invoice that is then paid: its later events are"
        " parked behind it; when it is set aside for good, their replay makes everything right"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        load = arena.load
        invoice_id = await load.issue(chooser.randrange(1, 1000) * 100)
        view = await load.until(invoice_id, lambda view: view["wallet"] is not None)
        concerned = [r for r in readers() if InvoicePaid.TYPE in r.types]
        async with producing(arena.kafka) as producer:
            bad = [("ce_id", b"\xff\xfe")]
            key = invoice_id.encode()
            sent = await producer.send_and_wait(InvoicePaid.TOPIC, b"{}", key=key, headers=bad)
        place = Place(sent.topic, sent.partition, sent.offset)
        arena.rubbish.add((place.topic, place.partition, place.offset))
        poison = Poison("on a living key", bad, b"{}", None)
        await until_put_aside(arena, readers(), {place: poison}, clear=False)
        await load.pay(invoice_id, view["wallet"], view["due"]["amount_minor"])
        await load.until(invoice_id, lambda view: view["status"]["settlement"] == "paid")
        await until_parked(arena, concerned, invoice_id)
        await release(arena, readers(), place)
        arena.hit("keys poisoned and freed")
        return 1


def _type_of(record: Any) -> str:
    return dict(record.headers).get("ce_type", b"").decode("utf-8", "replace")


FAULTS: Sequence[Fault] = (DoubledAndShuffled(), Backlog(), PoisonedBatches(), PoisonedKey())
