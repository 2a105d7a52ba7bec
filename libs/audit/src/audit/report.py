"""What an audit found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.invariant import Invariant, Row

RUNBOOK = "docs/runbooks/audit-breach.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant that was looked at."""

    invariant: Invariant
    count: int
    """How many rows break it; 0 where it holds."""
    rows: Sequence[Row]
    """Some of them."""
    milliseconds: float
    """How long its query ran."""

    @property
    def holds(self) -> bool:
        """Whether nothing breaks it."""
        return self.count == 0


@dataclass(frozen=True, slots=True)
class Report:
    """One run over every invariant, on one snapshot of the database."""

    looked_at: Sequence[Finding]
    at: datetime
    """Time of the database when the snapshot was taken."""
    seconds: float
    records: int | None
    """How many records of the topics there were; None where the topics were not read."""
    grace_s: float

    @property
    def findings(self) -> list[Finding]:
        """The invariants that do not hold."""
        return [finding for finding in self.looked_at if not finding.holds]

    @property
    def breached(self) -> bool:
        """Whether any invariant does not hold."""
        return bool(self.findings)

    @property
    def names(self) -> set[str]:
        """Names of the invariants that do not hold."""
        return {finding.invariant.name for finding in self.findings}

    def as_table(self) -> str:
        """Each invariant with its verdict; below, what is wrong, with examples."""
        return "\n".join([*self._lines(), "", *self._details(), self._verdict()])

    def _lines(self) -> Iterator[str]:
        width = max(len(finding.invariant.name) for finding in self.looked_at)
        yield f"{'invariant':<{width}}  verdict  {'rows':>7}  {'ms':>7}"
        for finding in self.looked_at:
            verdict = "ok" if finding.holds else "BREACH"
            yield (
                f"{finding.invariant.name:<{width}}  {verdict:<7}  {finding.count:>7}"
                f"  {finding.milliseconds:>7.1f}"
            )

    def _details(self) -> Iterator[str]:
        for finding in self.findings:
            invariant = finding.invariant
            number = f" ({invariant.reference})" if invariant.reference else ""
            yield f"BREACH {invariant.name}{number}: {finding.count} found"
            yield f"  must hold: {invariant.sentence}"
            for row in finding.rows:
                yield "  " + "  ".join(f"{name}={value}" for name, value in row.items())
            if finding.count > len(finding.rows):
                yield f"  ... and {finding.count - len(finding.rows)} more"
            yield f"  what to do: {RUNBOOK}#{invariant.theme}"
            yield ""

    def _verdict(self) -> str:
        broken, all_of_them = len(self.findings), len(self.looked_at)
        verdict = f"{broken} of {all_of_them} broken" if broken else f"all {all_of_them} hold"
        topics = "topics not read" if self.records is None else f"{self.records} records read"
        return f"{verdict}; {topics}; grace {self.grace_s:g} s; took {self.seconds:.2f} s"

    def as_json(self) -> str:
        """The same for programs."""
        return json.dumps(
            {
                "breached": self.breached,
                "at": self.at.isoformat(),
                "seconds": round(self.seconds, 4),
                "records": self.records,
                "grace_s": self.grace_s,
                "invariants": [_plain(finding) for finding in self.looked_at],
            },
            indent=2,
            default=str,
        )


def _plain(finding: Finding) -> dict[str, Any]:
    invariant = finding.invariant
    return {
        "name": invariant.name,
        "reference": invariant.reference,
        "sentence": invariant.sentence,
        "holds": finding.holds,
        "count": finding.count,
        "rows": list(finding.rows),
        "milliseconds": round(finding.milliseconds, 2),
    }
