"""Services that run short of what the machine gives them."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.arena import Arena, Fault

HOLD_SECONDS = 8, 15
_FILES = 8
"""Numbers that are all in use: what is closed can then not be opened again."""


@contextmanager
def limited(pid: int, kind: int, soft: int) -> Iterator[None]:
    """A limit of a running process; taken back at the end, unless the process is gone by then."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (min(soft, before[1]) if before[1] >= 0 else soft, before[1]))
    try:
        yield
    finally:
        try:
            resource.prlimit(pid, kind, before)
        except ProcessLookupError:
            return


@dataclass
class NoMoreFiles:
    """What is lost cannot be opened again."""

    name: str = "limits.files"
    sentence: str = (
        "a service loses its connections to PostgreSQL and may open no other for 8 to 15 s"
    )

    def missing(self) -> str | None:
        return None if hasattr(resource, "prlimit") else "prlimit, which only Linux has"

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        service = chooser.choice(arena.services)
        pid = arena.stack.pid(service)
        with limited(pid, resource.RLIMIT_NOFILE, _FILES):
            await arena.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like $1 || '%'",
                service.replace("-", "_"),
            )
            await asyncio.sleep(chooser.uniform(*HOLD_SECONDS))
        arena.hit(f"{service} without files")
        return 1


@dataclass
class NoMoreMemory:
    """Every larger allocation fails."""

    name: str = "limits.memory"
    sentence: str = "a service gets no further memory for 8 to 15 s"

    def missing(self) -> str | None:
        return None if hasattr(resource, "prlimit") else "prlimit, which only Linux has"

    async def strike(self, arena: Arena, chooser: random.Random) -> int:
        service = chooser.choice(arena.services)
        pid = arena.stack.pid(service)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        now = pages * resource.getpagesize()
        with limited(pid, resource.RLIMIT_AS, now):
            await asyncio.sleep(chooser.uniform(*HOLD_SECONDS))
        arena.hit(f"{service} without memory")
        return 1


FAULTS: Sequence[Fault] = (NoMoreFiles(), NoMoreMemory())
