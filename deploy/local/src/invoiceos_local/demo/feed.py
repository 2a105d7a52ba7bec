"""What a partner sees: every fact on the topics, as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from aiokafka import AIOKafkaConsumer

from invoiceos_contracts import EVENTS, Event, from_headers, topics

Show = Callable[["Seen"], None]


@dataclass(frozen=True)
class Seen:
    """A fact, and when it was seen."""

    fact: Event
    service: str
    at: float
    """Seconds of the monotonic clock."""


@dataclass
class Feed:
    """Reads every topic from now on and remembers what came."""

    bootstrap: str
    show: Show
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """How to log in, as keyword arguments of aiokafka's clients."""
    seen: list[Seen] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __aenter__(self) -> Self:
        """Begin to listen; returns when nothing that follows can be missed."""
        names = [spec.name for spec in topics() if not spec.name.endswith(".dlq")]
        self._consumer = AIOKafkaConsumer(
            *names,
            **{"bootstrap_servers": self.bootstrap, **self.options},
            auto_offset_reset="latest",
        )
        await self._consumer.start()
        while not self._consumer.assignment():  # noqa: ASYNC110 - aiokafka offers no event
            await asyncio.sleep(0.02)
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # aiokafka 0.14 ends its own stop with CancelledError where a fetch is to be tried again.
        stop = asyncio.ensure_future(self._consumer.stop())
        await asyncio.wait({stop})
        if not stop.cancelled():
            stop.result()

    async def _read(self) -> None:
        async for record in self._consumer:
            try:
                kind = EVENTS.get(from_headers(record.headers).type)
                if kind is None:
                    continue
                found = Seen(kind.read(record.value or b""), kind.OWNER, time.monotonic())
            except ValueError:
                continue  # what breaks the contract is for the services to put aside
            async with self._news:
                self.seen.append(found)
                self._news.notify_all()
            self.show(found)

    async def until(
        self, kind: type[Event], invoice_id: UUID, *, after: int = 0, seconds: float = 30
    ) -> Any:
        """The first fact of this kind about an invoice, beyond the first `after`."""

        def found() -> list[Event]:
            return [
                seen.fact
                for seen in self.seen
                if isinstance(seen.fact, kind)
                and getattr(seen.fact, "invoice_id", None) == invoice_id
            ]

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: len(found()) > after)
        except TimeoutError:
            message = f"{kind.__name__} did not come within {seconds:.0f} s; make logs shows why"
            raise NotSeen(message) from None
        return found()[after]

    def count(self, kinds: Iterable[type[Event]], invoice_id: UUID) -> int:
        """How many facts of these kinds there were about an invoice."""
        return sum(
            isinstance(seen.fact, tuple(kinds))
            and getattr(seen.fact, "invoice_id", None) == invoice_id
            for seen in self.seen
        )


class NotSeen(Exception):
    """A fact that had to come did not."""
