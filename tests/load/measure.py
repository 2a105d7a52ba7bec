"""What a run costs: CPU of process trees, memory, percentiles, and ratios taken in one run.

CPU per item disturbs least on a machine that is shared, so it stands beside every rate.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_TICK = os.sysconf("SC_CLK_TCK")
_LISTENING = "0A"


def _stat(pid: int) -> tuple[int, int] | None:
    """The parent, and the clock ticks of the process with the children it has reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15]))


def _table() -> dict[int, tuple[int, int]]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid: found for pid in pids if (found := _stat(pid)) is not None}


def tree(roots: Iterable[int]) -> set[int]:
    """These processes and all that descend from them."""
    return _tree(roots, _table())


def _tree(roots: Iterable[int], table: Mapping[int, tuple[int, int]]) -> set[int]:
    found, grew = {pid for pid in roots if pid in table}, True
    while grew:
        more = {pid for pid, (parent, _) in table.items() if parent in found} - found
        grew = bool(more)
        found |= more
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU seconds of process trees since they began."""
    table = _table()
    return sum(table[pid][1] for pid in _tree(roots, table)) / _TICK


def pss_mib(pids: Iterable[int]) -> float:
    """Memory of processes, shared pages divided among those who share them."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def listener_on(port: int) -> list[int]:
    """The process that listens on a port of this machine; empty where it is not ours to see."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    holders = [pid for pid in _table() if inodes & _links_of(pid)]
    parents = {pid: (_stat(pid) or (0, 0))[0] for pid in holders}
    return [pid for pid in holders if parents[pid] not in holders]


def _links_of(pid: int) -> set[str]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            found.add(os.readlink(entry.path))
    except OSError:
        pass
    return found


class Span:
    """Wall time and CPU of named groups of processes; the group `self` is this process."""

    def __init__(self, **groups: Sequence[int]) -> None:
        self._groups = groups
        self.wall = 0.0
        self.cpu: dict[str, float] = {}

    def _read(self) -> dict[str, float]:
        table = _table()
        read = {
            name: sum(table[pid][1] for pid in _tree(roots, table)) / _TICK
            for name, roots in self._groups.items()
        }
        return read | {"self": time.process_time()}

    def __enter__(self) -> Self:
        self._before, self._began = self._read(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.wall = time.perf_counter() - self._began
        after = self._read()
        self.cpu = {name: after[name] - self._before[name] for name in after}

    @property
    def so_far(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._began

    def micros(self, items: int, /, **names: str) -> dict[str, float]:
        """CPU microseconds an item by group; `names` renames groups, for example self='load'."""
        return {
            names.get(name, name): round(seconds / max(1, items) * 1e6, 1)
            for name, seconds in self.cpu.items()
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p50_p99(values: Sequence[float]) -> dict[str, float]:
    """Both in milliseconds, of values in seconds."""
    return {
        "p50_ms": round(percentile(values, 0.5) * 1e3, 2),
        "p99_ms": round(percentile(values, 0.99) * 1e3, 2),
    }


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: a figure per round, their median, and what an item cost."""

    name: str
    unit: str
    rounds: Sequence[float]
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours against the control of the same round."""

    name: str
    rounds: Sequence[float]
    goal: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


@dataclass(slots=True)
class Outcome:
    """What a case found."""

    measures: list[Measure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    books: dict[str, bool] = field(default_factory=dict)
    """What was checked afterwards, and whether it holds."""
    notes: list[str] = field(default_factory=list)


def ratios(ours: Sequence[float], control: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(ours, control, strict=True) if b]


def medians(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each cost over the rounds."""
    names = {name: None for cost in costs for name in cost}
    return {
        name: round(statistics.median([cost[name] for cost in costs if name in cost]), 1)
        for name in names
    }


@dataclass(slots=True)
class Series:
    """The rounds of one thing that is measured."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)
    costs: list[Mapping[str, float]] = field(default_factory=list)
    extras: list[Mapping[str, float]] = field(default_factory=list)

    def add(
        self,
        value: float,
        cost: Mapping[str, float] | None = None,
        extra: Mapping[str, float] | None = None,
    ) -> None:
        self.values.append(value)
        self.costs.append(cost or {})
        self.extras.append(extra or {})

    def measure(self) -> Measure:
        return Measure(
            self.name, self.unit, list(self.values), medians(self.costs), medians(self.extras)
        )


Cell = Callable[[], Awaitable[None]]


async def alternate(rounds: int, cells: Sequence[Cell], say: Callable[[str], None]) -> None:
    """A-B-A-B; every second round in the opposite order, so that drift favours nobody."""
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for cell in cells if number % 2 == 0 else list(reversed(cells)):
            await cell()
