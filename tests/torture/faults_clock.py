"""One service's wall clock is wrong. Its monotonic clock, and everybody else's, stays right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from tests.torture import tools
from tests.torture.arena import Arena, Fault
from tests.torture.wires import Span


@dataclass(frozen=True)
class Bent:
    """A service is started again with a bent clock, and later with the machine's."""

    name: str
    sentence: str
    bend: Callable[[random.Random], str]
    """As libfaketime reads it: seconds off, and how fast time runs."""
    seconds: Span = (8, 20)
    away_seconds: Span = (2, 4)
    services: tuple[str, ...] = ()
    """Whom it may meet; anybody when empty."""

    def missing(self) -> str | None:
        return tools.lacking(tools.libfaketime)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        service, bend = chooser.choice(self.services or arena.services), self.bend(chooser)
        seconds, away_seconds = chooser.uniform(*self.seconds), chooser.uniform(*self.away_seconds)
        settings = {
            "LD_PRELOAD": str(tools.libfaketime()),
            "FAKETIME": bend,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        try:
            with arena.settings(service, **settings):
                await arena.restart(service)
                arena.hit(f"{service} at {bend}")
                await asyncio.sleep(seconds)
        finally:
            # The chain is away when the clock becomes right: a circuit is open until some time.
            with arena.network.cut("tempo") if arena.network else nullcontext():
                await asyncio.sleep(away_seconds)
                await arena.restart(service)
        return 1


FAULTS: list[Fault] = [
    Bent("clock.ahead", "a service's clock is an hour ahead", lambda _: "+3600"),
    Bent(
        "clock.of_the_chain_watcher",
        "the clock of the service that times the chain's outages is an hour ahead",
        lambda _: "+3600",
        services=("provider-orchestrator",),
    ),
    Bent("clock.behind", "a service's clock is an hour behind", lambda _: "-3600"),
    Bent(
        "clock.drifting",
        "a service's clock runs up to 50 % too fast or too slow",
        lambda chooser: f"+0 x{chooser.uniform(0.5, 1.5):.2f}",
    ),
]
