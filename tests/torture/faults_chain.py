"""The chain takes blocks back, and its node stalls, lags and dies. The chain's word is the truth."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.torture.arena import Arena, Fault, NotBack
from tests.torture.wires import SILENT, TORN, Span, WireFault, slow

from invoiceos_local.chain import Node
from invoiceos_local.tempo import answers

BACK_SECONDS = 60
KEPT_BLOCKS = 10
"""The first blocks, which register the virtual master, are never taken back."""


@dataclass(frozen=True)
class Always:
    """A fault that every machine can have."""

    def missing(self) -> str | None:
        return None


@asynccontextmanager
async def no_mining(node: Node) -> AsyncIterator[None]:
    """A block mined while anvil goes back leaves a hole in the chain that it then has."""
    await node.call("evm_setAutomine", False)
    try:
        yield
    finally:
        await node.call("evm_setAutomine", True)


@dataclass(frozen=True)
class Reorganised(Always):
    """Blocks are replaced by empty ones of the same height."""

    name: str = "chain.reorganised"
    sentence: str = "the last 1 to 8 blocks are replaced by others without their payments"
    rounds: int = 4
    deepest: int = 8
    calm_seconds: Span = (0.2, 3)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        points = 0
        async with Node(arena.chain) as node:
            for _ in range(self.rounds):
                height = int(await node.call("eth_blockNumber"), 16)
                depth = min(chooser.randint(1, self.deepest), height - KEPT_BLOCKS)
                if depth > 0:
                    async with no_mining(node):
                        await node.call("anvil_reorg", depth, [])
                    points += depth
                await asyncio.sleep(chooser.uniform(*self.calm_seconds))
        arena.hit("blocks taken back", points)
        return points


@dataclass(frozen=True)
class Restored(Always):
    """The node goes back to a former state and on from there, as after a restored backup."""

    name: str = "chain.restored"
    sentence: str = "the node goes back by some seconds; what it mines then contradicts what was"
    rounds: int = 2
    seconds: Span = (1, 5)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        points = 0
        async with Node(arena.chain) as node:
            for _ in range(self.rounds):
                snapshot = await node.call("evm_snapshot")
                before = int(await node.call("eth_blockNumber"), 16)
                await asyncio.sleep(chooser.uniform(*self.seconds))
                async with no_mining(node):
                    points += int(await node.call("eth_blockNumber"), 16) - before
                    await node.call("evm_revert", snapshot)
                await node.call("anvil_mine", "0x1")
                await asyncio.sleep(chooser.uniform(*self.seconds))
        arena.hit("blocks forgotten", points)
        return points


@dataclass(frozen=True)
class Killed(Always):
    """The node saves its state now and then: what it mined since is gone when it comes back."""

    name: str = "chain.killed"
    sentence: str = "the node is killed three times and comes back without its last blocks"
    rounds: int = 3
    calm_seconds: Span = (2, 8)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        for _ in range(self.rounds):
            await asyncio.sleep(chooser.uniform(*self.calm_seconds))
            arena.kill("tempo")
            await asyncio.sleep(0.3)
            await _until_it_answers(arena)
        return self.rounds


@dataclass(frozen=True)
class Stalled(Always):
    """SIGSTOP for longer than a question to the node may take, then SIGCONT."""

    name: str = "chain.stalled"
    sentence: str = "the node stands still for 8 to 20 s and goes on"
    seconds: Span = (8, 20)

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        arena.kill("tempo", signal.SIGSTOP)
        try:
            await asyncio.sleep(chooser.uniform(*self.seconds))
        finally:
            arena.kill("tempo", signal.SIGCONT)
        return 1


async def _until_it_answers(arena: Arena) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while not await asyncio.to_thread(answers, arena.chain):
        if time.monotonic() > deadline:
            raise NotBack(f"the chain does not answer after {BACK_SECONDS} s")
        await asyncio.sleep(0.2)


FAULTS: list[Fault] = [
    Reorganised(),
    Restored(),
    Killed(),
    Stalled(),
    WireFault("chain.unreachable", "the node refuses connections", "tempo", None, (2, 8), 3),
    WireFault(
        "chain.silent",
        "nothing passes to or from the node for 8 to 20 s, and no connection ends",
        "tempo",
        SILENT,
        (8, 20),
    ),
    WireFault("chain.late", "the node answers some 3 s late", "tempo", slow(3000), (10, 20)),
    WireFault(
        "chain.torn", "the node's answers end in the middle of a word", "tempo", TORN, (0.3, 2), 6
    ),
]
