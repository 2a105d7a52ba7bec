"""The running platform that is tortured, and what every fault is.

A module `faults_<kind>.py` beside this one names its faults in `FAULTS`; the runner finds it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import asyncpg
from tests.torture import tools
from tests.torture.network import Network

from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.processes import Child, Command, Processes, sweep
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, Stack, running_stack
from testkit import warm

GATEWAY = "gateway"
READY_SECONDS = 120
SETTINGS: Mapping[str, Mapping[str, str]] = {
    GATEWAY: {
        "INVOICEOS_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_PUBLIC_RATE_LIMIT_PER_SECOND": "0",
    },
    "provider-orchestrator": {"INVOICEOS_TEMPO_OPEN_S": "1"},
    # A mail that a killed process had claimed is free again after its lease: 30 s and five of these.
    "notification": {"INVOICEOS_MAIL_TIMEOUT_S": "5"},
}
_POLL_SECONDS = 0.05
_PROBE_SECONDS = 2
_GRACE_SECONDS = 15


class Fault(Protocol):
    """One way to hurt the platform.

    The runner strikes under load, then waits until the platform works again by itself, then judges.
    """

    name: str
    """Kind and manner: `broker.killed`."""
    sentence: str
    """What it does, for the report."""

    def missing(self) -> str | None:
        """What this machine lacks for it, or None."""

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        """Inject, hold, heal; returns how many points were hit (kills, stops, cuts, copies).

        Whatever it did is undone when it returns, also by an exception: only what the platform has
        to mend by itself may be left. Every choice comes from `chooser`, so that a seed repeats it.
        """


class NotBack(Exception):
    """The platform did not come back by itself."""


@dataclass
class Arena:
    """A running stack on infrastructure of its own; dead processes are started again."""

    stack: Stack
    overrides: dict[str, dict[str, str]]
    """Settings by service, `*` for all; taken up when a service is started again."""
    say: Callable[[str], None]
    _processes: Processes
    network: Network | None = None
    """The wires to the infrastructure; None where there is no toxiproxy."""
    struck: Counter[str] = field(default_factory=Counter)
    """How often each thing was hit, by the words given to `hit`."""
    rubbish: set[tuple[str, int, int]] = field(default_factory=set)
    """Topic, partition and offset of records that a fault made up; the judge leaves them out."""
    load: Any = None
    """The client of `load.Load`, for faults that must meet an invoice of their choice."""

    NEEDS: ClassVar[Sequence[str]] = ("kafka", "postgres", "tempo", "smtp")

    @property
    def folder(self) -> Path:
        """A place for files of a fault; gone when the next run starts."""
        return self.stack.folder

    @property
    def services(self) -> list[str]:
        return list(self.stack.ports)

    @property
    def urls(self) -> Mapping[str, str]:
        """The base URL of each service."""
        return self.stack.urls

    @property
    def kafka(self) -> str:
        """Address of the broker, host:port."""
        return self.stack.infrastructure.kafka_bootstrap

    @property
    def postgres(self) -> str:
        """The platform's database as its superuser, a URL."""
        return self.stack.administration_env()["INVOICEOS_DATABASE_ADMIN_URL"]

    @property
    def chain(self) -> str:
        """The chain's JSON-RPC, a URL."""
        return self.stack.infrastructure.tempo_rpc_url

    def hit(self, what: str, points: int = 1) -> None:
        """Write down that something was hit; the report shows the sums."""
        self.struck[what] += points

    async def sql(self, statement: str, *arguments: object) -> list[Any]:
        """Look at the database as its superuser."""
        connection = await asyncpg.connect(self.postgres, timeout=10)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a service, or `kafka`, `postgres`, `tempo`, `smtp`. What dies is started again."""
        self.hit(f"{name} {number.name}")
        self.stack.kill(name, number)

    async def restart(self, name: str) -> None:
        """End and start again, with the settings of `overrides`; returns when it is ready."""
        await asyncio.to_thread(self.stack.restart, name)

    @contextmanager
    def settings(self, service: str, **settings: str) -> Iterator[None]:
        """Settings for the starts that happen inside the block."""
        mine = self.overrides.setdefault(service, {})
        before = {name: mine[name] for name in settings if name in mine}
        mine.update(settings)
        try:
            yield
        finally:
            for name in settings:
                mine.pop(name, None)
            mine.update(before)

    @asynccontextmanager
    async def another(self, service: str, **settings: str) -> AsyncIterator[Child]:
        """A second process of a service on a port of its own, ready; SIGTERM ends it."""
        child, url = self.spawn(service, **settings)
        try:
            await self._until(
                lambda: child.exit_code() is not None or answers(f"{url}/readyz"),
                READY_SECONDS,
                f"a second {service} was not ready: {child.log}",
            )
            if child.exit_code() is not None:
                raise NotBack(f"a second {service} ended: {child.last_words()}")
            yield child
        finally:
            await self.end(child)

    def spawn(self, service: str, **settings: str) -> tuple[Child, str]:
        """Start a second process of a service; whoever starts it ends it. Returns its URL too."""
        port = free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("INVOICEOS_")}
        environment |= self.stack.env_for(service)
        environment |= {
            "INVOICEOS_HTTP_PORT": str(port),
            "INVOICEOS_INSTANCE_ID": f"{service}-{port}",
        }
        command = Command(self.stack.command("serve", service), environment | settings)
        return self._processes.spawn(f"{service}-second", command), f"http://{LOOPBACK}:{port}"

    async def end(self, child: Child) -> None:
        """End a process of `spawn`, by SIGTERM first; it may be stopped or dead already."""
        child.send(signal.SIGCONT)
        await asyncio.to_thread(self._processes.stop, child, _GRACE_SECONDS)

    async def until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every service says that it is ready; raises NotBack."""
        pending = set(self.services)

        def all_ready() -> bool:
            pending.difference_update({n for n in pending if answers(f"{self.urls[n]}/readyz")})
            return not pending

        await self._until(all_ready, seconds, "services were not ready")

    async def _until(self, good: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(good):
            if time.monotonic() > deadline:
                raise NotBack(f"{what} after {seconds:.0f} s")
            await asyncio.sleep(_POLL_SECONDS)


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


@contextmanager
def running_arena(
    folder: Path,
    say: Callable[[str], None],
    *,
    program: Sequence[str] = (),
    everywhere: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Arena]:
    """A started arena, which ends with the block.

    `program` stands in for the `invoiceos` command; `everywhere` is in every service's environment.
    """
    overrides = {name: dict(settings) for name, settings in SETTINGS.items()}
    overrides["*"] = dict(everywhere)
    sweep(folder / "second")
    # Services that die all the time are forked from one that has imported everything already.
    processes = Processes(folder / "second", warm.spawn)
    choices = Choices(own=True, embedded=True)
    plan = Plan(choices=choices, overrides=overrides, restart_dead=True, spawner=warm.spawn)
    plan = replace(plan, program=program or plan.program)
    network = None
    try:
        if not tools.lacking(tools.toxiproxy):
            network = Network(processes)
            network.start()
            choices = replace(plan.choices, kafka_front=network.front)
            plan = replace(plan, choices=choices, reroute=network.reroute)
        with running_stack(folder / "stack", plan, say) as stack:
            yield Arena(stack, overrides, say, processes, network)
    finally:
        processes.stop_all(grace_seconds=1)
