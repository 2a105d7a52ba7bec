"""Processes of services that die, freeze and come back."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.arena import GATEWAY, Arena, Fault

EVERY_SERVICE = (
    "transaction.flushed",
    "transaction.committed",
    "relay.read",
    "relay.sent",
    "relay.acked",
    "relay.deleted",
)
CONSUMER = ("consumer.marked", "consumer.handled", "consumer.committed", "offsets.committing")
LEDGER = ("ledger.entered", "ledger.stated", "reserve.stated")
_ORCHESTRATOR, _BOOKS = "tests/provider_orchestrator", "tests/reserve_ledger"
ELSEWHERE = {
    "payment.routed": f"{_ORCHESTRATOR}/test_collecting_death.py",
    "payment.claimed": f"{_ORCHESTRATOR}/test_collecting_death.py",
    "payment.sent": f"{_ORCHESTRATOR}/test_collecting_death.py",
    "payment.answered": f"{_ORCHESTRATOR}/test_collecting_death.py",
    "payment.recorded": f"{_ORCHESTRATOR}/test_collecting_death.py",
    "disbursement.claimed": f"{_ORCHESTRATOR}/test_payouts.py",
    "disbursement.answered": f"{_ORCHESTRATOR}/test_payouts.py",
    "disbursement.recorded": f"{_ORCHESTRATOR}/test_payouts.py",
    "sweep.signed": f"{_ORCHESTRATOR}/test_evm_sweeps.py",
    "sweep.sent": f"{_ORCHESTRATOR}/test_evm_sweeps.py",
    "sweep.replaced": f"{_ORCHESTRATOR}/test_evm_sweeps.py",
    "sweep.landed": f"{_ORCHESTRATOR}/test_evm_sweeps.py",
    "sweep.resolved": f"{_ORCHESTRATOR}/test_evm_sweeps.py",
    "bulk.ordered": "tests/ephemeral_manager/test_bulk_death.py",
    "bulk.rows_requested": "tests/ephemeral_manager/test_bulk_death.py",
    "bulk.rows_settled": "tests/ephemeral_manager/test_bulk_death.py",
    "bulk.cancelled": "tests/ephemeral_manager/test_bulk_death.py",
    "ledger.asked": f"{_BOOKS}/test_postings.py",
    "ledger.settled": f"{_BOOKS}/test_settling.py",
}
"""What the load here never comes by, and the test that dies there."""
IN_ONE_TRANSACTION = {
    "adjustment.posting",
    "ledger.held",
    "ledger.reserved",
    "payment.intent_stored",
    "provider_payout.recorded",
    "settlement.recorded",
    "statements.filed",
}
"""Neither comes by them; nothing is called there, so to die there is to die at
`transaction.flushed`: all of it or nothing."""
POINTS: dict[str, Sequence[str]] = {
    "invoice": EVERY_SERVICE + CONSUMER,
    "wallet-factory": EVERY_SERVICE + CONSUMER,
    "ephemeral-manager": (*EVERY_SERVICE, *CONSUMER, "timer.fired"),
    "provider-orchestrator": EVERY_SERVICE + CONSUMER,
    "reserve-ledger": (*EVERY_SERVICE, *CONSUMER, *LEDGER),
    "notification": (
        *EVERY_SERVICE,
        *CONSUMER,
        "webhooks.claimed",
        "webhooks.attempted",
        "mails.sent",
    ),
}
REACHED_SECONDS = 20
"""Longest wait for an armed process to come by its point; then it is killed where it is."""
CHURNS = 2
"""Times a second process joins and leaves in one strike."""
PAUSE_SECONDS = 14
"""Longer than a relay's lease and than the broker's session of a consumer (10 s each)."""
_POLL_SECONDS = 0.05


def marks(arena: Arena) -> Path:
    """A new file name for the last words of a dying process."""
    folder = arena.folder / "marks"
    folder.mkdir(exist_ok=True)
    return folder / f"{time.monotonic_ns()}"


async def die_at(arena: Arena, service: str, failpoint: str) -> bool:
    """Start a service again, armed; whether it died there. It is killed anyhow if it did not."""
    mark = marks(arena)
    with arena.settings(service, INVOICEOS_FAILPOINT=failpoint, INVOICEOS_FAILPOINT_MARK=str(mark)):
        try:
            await arena.restart(service)
        except Exception:
            if not mark.exists():
                raise
        end = time.monotonic() + REACHED_SECONDS
        while not mark.exists() and time.monotonic() < end:
            await asyncio.sleep(_POLL_SECONDS)
        if mark.exists():
            arena.hit(f"{service} at {failpoint.partition(':')[0]}")
            return True
        mark.write_text("too late")
    arena.kill(service)
    return False


@dataclass
class KilledAtFailpoint:
    """Walks through all named points of all services."""

    name: str = "killed.at_failpoint"
    sentence: str = "two services die by SIGKILL, each at a named point of its work"
    _left: list[tuple[str, str]] = field(default_factory=list)

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        first = self._next(chooser)
        second = next(pair for pair in self._without(first[0], chooser))
        done = await asyncio.gather(die_at(arena, *first), die_at(arena, *second))
        return sum(done)

    def _next(self, chooser: random.Random) -> tuple[str, str]:
        if not self._left:
            self._left = [(name, point) for name, points in POINTS.items() for point in points]
            chooser.shuffle(self._left)
        return self._left.pop()

    def _without(self, service: str, chooser: random.Random) -> Iterator[tuple[str, str]]:
        while True:
            pair = self._next(chooser)
            if pair[0] != service:
                yield pair
            else:
                self._left.insert(0, pair)


@dataclass
class KilledAtAwait:
    """The n-th step of a process's tasks: the places nobody thought of naming."""

    name: str = "killed.at_await"
    sentence: str = "one to three services die by SIGKILL at the n-th step of their tasks"

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        services = chooser.sample(arena.services, chooser.randint(1, 3))
        steps = [round(10 ** chooser.uniform(1.5, 4)) for _ in services]
        done = await asyncio.gather(
            *(die_at(arena, s, f"await:{n}") for s, n in zip(services, steps, strict=True))
        )
        return len(done)


@dataclass
class KilledAtRandom:
    """Whoever it meets, whatever it does."""

    name: str = "killed.at_random"
    sentence: str = "SIGKILL for one to all services at once, in bursts, at random moments"

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        points = 0
        for _ in range(chooser.randint(1, 3)):
            services = chooser.sample(arena.services, chooser.randint(1, len(arena.services)))
            for service in services:
                arena.kill(service)
                points += 1
                if chooser.random() < 0.5:
                    await asyncio.sleep(chooser.random() / 5)
            await asyncio.sleep(chooser.uniform(1, 4))
        return points


@dataclass
class PausedPastLease:
    """A zombie: it holds locks, a producer and a partition that others have taken meanwhile."""

    name: str = "paused.past_lease"
    sentence: str = (
        f"a service stands still for {PAUSE_SECONDS} s, past its relay's lease and its consumer's"
        " session, while a second process works; then it goes on"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        service = chooser.choice([name for name in arena.services if name != GATEWAY])
        async with arena.another(service):
            arena.kill(service, signal.SIGSTOP)
            try:
                await asyncio.sleep(PAUSE_SECONDS + chooser.random() * 4)
            finally:
                arena.kill(service, signal.SIGCONT)
            await asyncio.sleep(chooser.uniform(1, 5))
        return 1


@dataclass
class Replaced:
    """An orchestrator that believes a frozen process dead starts the same replica again."""

    name: str = "paused.replaced"
    sentence: str = (
        "a service stands still while a process with the same instance id takes its place;"
        " then both run for a moment"
    )

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        service = chooser.choice([name for name in arena.services if name != GATEWAY])
        instance = arena.stack.env_for(service)["INVOICEOS_INSTANCE_ID"]
        arena.kill(service, signal.SIGSTOP)
        try:
            async with arena.another(service, INVOICEOS_INSTANCE_ID=instance):
                await asyncio.sleep(chooser.uniform(0, 4))
                arena.kill(service, signal.SIGCONT)
                await asyncio.sleep(chooser.uniform(1, 6))
        finally:
            arena.kill(service, signal.SIGCONT)
        return 1


@dataclass
class JoinAndLeave:
    """Rebalances in a row, some of them by members that die without a word."""

    name: str = "consumers.join_and_leave"
    sentence: str = "second processes of two services join and leave every few seconds"

    def missing(self) -> str | None:
        return None

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        services = chooser.sample(list(POINTS), 2)
        return sum(await asyncio.gather(*(self._churn(arena, s, chooser) for s in services)))

    async def _churn(self, arena: Arena, service: str, chooser: random.Random) -> int:
        for number in itertools.count(1):
            async with arena.another(service) as child:
                await asyncio.sleep(chooser.uniform(0.5, 3))
                if chooser.random() < 0.4:
                    child.send(signal.SIGKILL)
            arena.hit(f"{service} joined and left")
            if number == CHURNS:
                return 2 * number
        raise AssertionError


FAULTS: Sequence[Fault] = (
    KilledAtFailpoint(),
    KilledAtAwait(),
    KilledAtRandom(),
    PausedPastLease(),
    Replaced(),
    JoinAndLeave(),
)
