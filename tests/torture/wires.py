"""Faults of the network between the services and one thing they stand on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.torture import tools
from tests.torture.arena import Arena
from tests.torture.network import Toxic, Wire

Span = tuple[float, float]
Stream = Literal["upstream", "downstream"]
BOTH: tuple[Stream, Stream] = ("upstream", "downstream")
CALM_SECONDS: Span = (0.5, 2.0)


@dataclass(frozen=True)
class Harm:
    """A toxic whose attributes are drawn anew each time; see `Toxic`."""

    kind: str
    streams: tuple[Stream, ...] = ("downstream",)
    attributes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def toxics(self, chooser: random.Random) -> list[Toxic]:
        drawn = {name: chooser.randint(*span) for name, span in self.attributes.items()}
        return [Toxic(self.kind, stream, drawn) for stream in self.streams]


@dataclass(frozen=True)
class WireFault:
    """A wire that is harmed, and well again, `rounds` times; without a harm it is cut."""

    name: str
    sentence: str
    wire: Wire
    harm: Harm | None
    seconds: Span
    rounds: int = 1

    def missing(self) -> str | None:
        return tools.lacking(tools.toxiproxy)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        network = arena.network
        assert network is not None, "the arena was made without a proxy"
        for _ in range(self.rounds):
            seconds, calm = chooser.uniform(*self.seconds), chooser.uniform(*CALM_SECONDS)
            toxics = self.harm.toxics(chooser) if self.harm else []
            with network.poisoned(self.wire, *toxics) if toxics else network.cut(self.wire):
                arena.hit(f"{self.wire} {self.harm.kind if self.harm else 'cut'}")
                await asyncio.sleep(seconds)
            await asyncio.sleep(calm)
        return self.rounds


def slow(milliseconds: int) -> Harm:
    """Each answer comes later, by half as much to half as much more."""
    span = milliseconds // 2, milliseconds * 3 // 2
    return Harm("latency", attributes={"latency": span, "jitter": (0, milliseconds // 4)})


def narrow(kilobytes_per_second: int) -> Harm:
    """All connections are this slow, each for itself."""
    return Harm("bandwidth", BOTH, {"rate": (kilobytes_per_second, kilobytes_per_second)})


SILENT = Harm("timeout", BOTH, {"timeout": (0, 0)})
"""Bytes vanish, connections stand: nobody is told that nobody hears."""
RESET = Harm("reset_peer", BOTH, {"timeout": (0, 100)})
"""Connections are reset as soon as something is sent."""
TORN = Harm("limit_data", ("downstream",), {"bytes": (0, 4000)})
"""Connections end in the middle of an answer: what was asked for may have been done."""
