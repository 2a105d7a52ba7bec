"""The project's consumer with the database taken out: what a message costs before any work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from faststream.kafka import KafkaBroker
from tests.load.measure import Span

from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import Batch, Consumer, Database, Processor, Received, Subscriptions, Tx, consumes


@consumes(TenantCreated)
async def _ignore(tx: Tx, events: Batch[TenantCreated]) -> None:
    """Dispatched, and nothing done."""


class _Topic(Subscriptions):
    """The same handlers on another topic, so that the topic holds what the control reads too."""

    def __init__(self, group: str, topic: str) -> None:
        super().__init__(group, [_ignore])
        self._topic = topic

    @property
    def topics(self) -> list[str]:
        return [self._topic]


class _WithoutDatabase(Processor):
    """Calls the handlers at once; counts."""

    def __init__(self, database: Database, subscriptions: Subscriptions, count: int) -> None:
        super().__init__(database, subscriptions)
        self.left = count
        self.first, self.last = asyncio.Event(), asyncio.Event()

    async def process(self, records: Sequence[Any]) -> None:
        self.first.set()
        await super().process(records)

    async def _until_committed(self, parsed: Sequence[Any]) -> None:
        fresh = [item for item in parsed if isinstance(item, Received)]
        for handler, batch in self._subscriptions.waves(fresh):
            await handler(None, batch)  # type: ignore[arg-type]
        self.left -= len(fresh)
        if self.left <= 0:
            self.last.set()


class Dispatching:
    """One run over a topic that is full already."""

    def __init__(self, bootstrap: str, database: Database, topic: str, count: int) -> None:
        self._bootstrap = bootstrap
        subscriptions = _Topic(f"{topic}-{id(self)}", topic)
        self._processor = _WithoutDatabase(database, subscriptions, count)
        self._database = database

    async def run(self) -> Span:
        """From the first poll that brings something to the last."""
        broker = KafkaBroker(self._bootstrap, logger=None, allow_auto_create_topics=False)
        Consumer(broker, self._database, self._processor)
        await broker.start()
        try:
            async with asyncio.timeout(60):
                await self._processor.first.wait()
                with Span() as span:
                    await self._processor.last.wait()
        finally:
            await broker.stop()
        return span
