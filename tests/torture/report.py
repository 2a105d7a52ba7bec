"""Rounds and figures: what was done, how long it took to come back, what was broken."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from tests.torture.arena import Fault
from tests.torture.judge import Finding


@dataclass(slots=True)
class Round:
    """One strike and what followed."""

    number: int
    fault: str
    points: int
    strike_seconds: float
    recovery_seconds: float | None
    """From the end of the strike until a fresh invoice was paid; None: it was not."""
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Report:
    """A run."""

    seed: int
    missing: dict[str, str] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """All of the run; those of a judgement stand also with the rounds since the last one."""
    struck: Counter[str] = field(default_factory=Counter)
    work: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    began: float = field(default_factory=time.time)
    ended_early: bool = False

    def judge(self, findings: Sequence[Finding], since: int) -> None:
        """Findings of a judgement, held against every round since the one before."""
        self.judged += 1
        self.findings += findings
        for one in self.rounds[since:]:
            one.findings += findings

    def never_struck(self, faults: Sequence[Fault]) -> list[str]:
        hit = {one.fault for one in self.rounds if one.points}
        return [f.name for f in faults if f.name not in hit and f.name not in self.missing]

    def is_clean(self, faults: Sequence[Fault]) -> bool:
        return not self.findings and not self.never_struck(faults) and self.judged > 0

    def by_fault(self, faults: Sequence[Fault]) -> list[dict[str, Any]]:
        lines = []
        for fault in faults:
            mine = [one for one in self.rounds if one.fault == fault.name]
            times = [one.recovery_seconds for one in mine if one.recovery_seconds is not None]
            lines.append(
                {
                    "fault": fault.name,
                    "sentence": fault.sentence,
                    "missing": self.missing.get(fault.name),
                    "strikes": len(mine),
                    "points": sum(one.points for one in mine),
                    "recovery_median_s": round(statistics.median(times), 2) if times else None,
                    "recovery_max_s": round(max(times), 2) if times else None,
                    "breaches": sum(len(one.findings) for one in mine),
                }
            )
        return lines

    def as_json(self, faults: Sequence[Fault]) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": round(time.time() - self.began),
            "ended_early": self.ended_early,
            "rounds": len(self.rounds),
            "judgements": self.judged,
            "faults": self.by_fault(faults),
            "never_struck": self.never_struck(faults),
            "findings": [asdict(finding) for finding in self.findings],
            "struck": dict(sorted(self.struck.items())),
            "work": dict(sorted(self.work.items())),
        }

    def save(self, path: Path, faults: Sequence[Fault]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(faults), indent=2) + "\n")

    def show(self, console: Console, faults: Sequence[Fault]) -> None:
        names = Column("fault", no_wrap=True)
        table = Table(names, "strikes", "points", "back after, median", "longest", "breaches")
        for line in self.by_fault(faults):
            if line["missing"]:
                table.add_row(line["fault"], escape(line["missing"]), "", "", "", "")
                continue
            median, longest = (
                "" if line[name] is None else f"{line[name]:.1f} s"
                for name in ("recovery_median_s", "recovery_max_s")
            )
            counts = [str(line[name]) for name in ("strikes", "points")]
            table.add_row(line["fault"], *counts, median, longest, str(line["breaches"]))
        console.print(table)
        for name in self.never_struck(faults):
            console.print(f"[bold red]never struck:[/] {name}")
        for finding in self.findings[:40]:
            console.print(f"[bold red]breach:[/] {escape(f'{finding.rule}: {finding.what}')}")
        if len(self.findings) > 40:
            console.print(f"[bold red]and {len(self.findings) - 40} more breaches[/]")
        seconds = time.time() - self.began
        console.print(
            f"seed {self.seed}: {len(self.rounds)} rounds in {seconds:.0f} s; "
            f"{self.judged} judgements, {len(self.findings)} breaches"
        )
        console.print(f"work: {dict(sorted(self.work.items()))}", style="dim")
