"""What a number of seeds came to."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.simulator import chain, clients, cluster, fates, gate, kafka, receivers
from tests.simulator.simulation import Outcome

ENOUGH_SEEDS = 400
"""From so many on every kind has to have been reached."""
RARE = (
    "chain.batch_split",  # money is lost by it, and the settings say so
    "chain.logs_beyond_head",
    "client.told_in_progress",  # the second request waits for the first instead
    "client.told_429",  # nobody is limited here
)
KINDS = sorted(
    {
        *gate.FAULTS,
        *cluster.FAULTS,
        *fates.FAULTS,
        *kafka.FAULTS,
        *kafka.CONSEQUENCES,
        *chain.REACHED,
        *clients.REACHED,
        *receivers.REACHED,
    }
    - {*kafka.RARE, *RARE}
)
"""Every fault and every "sometimes": a run in which one never came about was blind there.

Left out is what needs minutes of silence or a crash within a millisecond; it has tests of its own.
"""


@dataclass
class Report:
    """Seeds as they end."""

    planned: int
    seeds: int = 0
    broken: dict[int, list[str]] = field(default_factory=dict)
    reached: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Count a seed; say so when it failed, and now and then how far things are."""
        self.seeds += 1
        self.reached.update(outcome.reached)
        self.digests[outcome.seed] = outcome.digest
        for name in ("virtual_s", "real_s", "statements", "records", "invoices", "crashes"):
            self.sums[name] += getattr(outcome, name)
        if outcome.findings:
            self.broken[outcome.seed] = outcome.findings
            print(f"seed {outcome.seed} {outcome.digest} BROKEN", flush=True)
            for finding in outcome.findings[:6]:
                print(f"    {finding[:400]}", flush=True)
        elif self.planned <= 20:
            print(f"seed {outcome.seed} {outcome.digest} clean", flush=True)
        elif self.seeds % max(10, self.planned // 20) == 0:
            rate = self.seeds / (time.monotonic() - self.began)
            print(
                f"{self.seeds} of {self.planned} seeds, {len(self.broken)} broken,"
                f" {rate:.2f} a second, {self.sums['crashes']:.0f} crashes",
                flush=True,
            )

    @property
    def missed(self) -> list[str]:
        """Kinds that never came about."""
        return [kind for kind in KINDS if not self.reached[kind]]

    @property
    def failed(self) -> bool:
        """Whether anything is wrong, with the system or with the run."""
        return bool(self.broken) or (self.seeds >= ENOUGH_SEEDS and bool(self.missed))

    def as_text(self) -> str:
        """For people."""
        took = time.monotonic() - self.began
        lines = [f"{kind:<36}{self.reached[kind]:>9}" for kind in sorted({*KINDS, *self.reached})]
        lines.append(
            f"{self.seeds} seeds, {len(self.broken)} broken; {self.sums['invoices']} invoices,"
            f" {self.sums['crashes']} crashes, {self.sums['records']} records,"
            f" {self.sums['statements']} statements; {self.sums['virtual_s']:.0f} virtual seconds"
            f" in {took:.0f} real ones: {self.seeds / max(took, 0.001):.2f} seeds a second,"
            f" {self.seeds / max(self.sums['real_s'], 0.001):.2f} a second and process"
        )
        if self.missed:
            lines.append(f"never reached: {', '.join(self.missed)}")
        if self.broken:
            lines.append(f"broken: {', '.join(map(str, sorted(self.broken)))}")
            lines.append("look at one: python -m tests.simulator --seeds N --jobs 1 --history")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seeds": self.seeds,
            "broken": self.broken,
            "reached": dict(sorted(self.reached.items())),
            "missed": self.missed,
            "sums": dict(self.sums),
            "seconds": round(time.monotonic() - self.began, 1),
            "digests": self.digests,
        }
