"""Kafka dies, stalls, and is reached badly. The API goes on; what was said waits in the outbox."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from dataclasses import dataclass

from tests.torture.arena import Arena, Fault, NotBack
from tests.torture.wires import RESET, SILENT, TORN, Span, WireFault, narrow, slow

from invoiceos_local.kafka import answers

BACK_SECONDS = 120


@dataclass(frozen=True)
class Killed:
    """SIGKILL; the supervisor starts it again, at once or after a while."""

    name: str
    sentence: str
    rounds: int
    dead_seconds: Span = (0, 0)
    calm_seconds: Span = (2, 6)

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        for _ in range(self.rounds):
            with arena.stack.left_dead("kafka"):
                arena.kill("kafka")
                await asyncio.sleep(chooser.uniform(*self.dead_seconds))
            await _until_it_answers(arena)
            await asyncio.sleep(chooser.uniform(*self.calm_seconds))
        return self.rounds


@dataclass(frozen=True)
class Stalled:
    """SIGSTOP for longer than a relay waits for an acknowledgement, then SIGCONT."""

    name: str = "broker.stalled"
    sentence: str = "Kafka stands still for 10 to 25 s and goes on"
    seconds: Span = (10, 25)

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        arena.kill("kafka", signal.SIGSTOP)
        try:
            await asyncio.sleep(chooser.uniform(*self.seconds))
        finally:
            arena.kill("kafka", signal.SIGCONT)
        return 1


async def _until_it_answers(arena: Arena) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while not await asyncio.to_thread(answers, arena.kafka):
        if time.monotonic() > deadline:
            raise NotBack(f"Kafka does not answer after {BACK_SECONDS} s")
        await asyncio.sleep(0.2)


FAULTS: list[Fault] = [
    Killed("broker.killed", "Kafka is killed three times and started again", rounds=3),
    Killed("broker.down", "Kafka is killed and stays away for 10 to 20 s", 1, (10, 20)),
    Stalled(),
    WireFault("broker.unreachable", "Kafka refuses connections", "kafka", None, (3, 8), 3),
    WireFault(
        "broker.silent",
        "Nothing passes to or from Kafka for 20 to 30 s, and no connection ends",
        "kafka",
        SILENT,
        (20, 30),
    ),
    WireFault("broker.slow", "Kafka answers 300 ms late", "kafka", slow(300), (10, 15)),
    WireFault("broker.narrow", "30 kB/s to and from Kafka", "kafka", narrow(30), (10, 15)),
    WireFault("broker.reset", "Connections to Kafka are reset", "kafka", RESET, (0.3, 2), 6),
    WireFault(
        "broker.torn", "Kafka's answers end in the middle of a word", "kafka", TORN, (0.3, 2), 6
    ),
]
