"""`python -m tests.torture.kills --count N`: kill points by the thousand, under load.

All services run as forks of warm processes and die again and again, each at a step of its tasks, at
a named point of its work or at a random moment, against one Kafka, one PostgreSQL and one chain.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tests.torture.arena import Arena, running_arena
from tests.torture.client import loading
from tests.torture.judge import Finding, judge
from tests.torture.load import Load

from invoiceos_local.state import data_folder

console = Console(highlight=False, soft_wrap=True)
PROGRAM = (sys.executable, str(Path(__file__).with_name("fork_server.py")))
SAY_SECONDS = 20
DRAIN_SECONDS = 240
LANES = 8


@dataclass
class Tally:
    """What a run of kills came to."""

    seed: int
    folder: Path
    storm_seconds: float = 0.0
    judged: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the end of each storm until all services were ready."""
    findings: list[Finding] = field(default_factory=list)
    work: Counter[str] = field(default_factory=Counter)

    def deaths(self) -> dict[str, Counter[str]]:
        """By service: what its children died of."""
        found = {}
        for path in sorted(self.folder.glob("*.deaths")):
            lines = path.read_text().splitlines()
            found[path.stem] = Counter(line.partition(":")[0] for line in lines)
        return found

    @property
    def kills(self) -> int:
        return sum(
            number
            for deaths in self.deaths().values()
            for cause, number in deaths.items()
            if not cause.startswith("ended")
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "kills": self.kills,
            "kills_per_hour": round(self.kills / max(self.storm_seconds, 1) * 3600),
            "storm_seconds": round(self.storm_seconds),
            "judgements": self.judged,
            "back_after_s": [round(seconds, 2) for seconds in self.recoveries],
            "deaths": {name: dict(deaths) for name, deaths in self.deaths().items()},
            "findings": [asdict(finding) for finding in self.findings],
            "work": dict(sorted(self.work.items())),
        }


@dataclass
class Storm:
    """Kills until there were enough, with a judgement now and then."""

    arena: Arena
    load: Load
    tally: Tally
    count: int
    judge_every: int
    say: Any

    async def run(self) -> None:
        self.load.start()
        aim = 0
        while aim < self.count:
            aim = min(self.count, aim + self.judge_every)
            await self._rage(aim)
            await self._judge()

    async def _rage(self, aim: int) -> None:
        """Until so many were killed."""
        flag = self.tally.folder / "storm"
        began = said = time.monotonic()
        before = self.tally.storm_seconds
        flag.touch()
        try:
            while self.tally.kills < aim:
                await asyncio.sleep(0.2)
                now = time.monotonic()
                self.tally.storm_seconds = before + now - began
                if now - said > SAY_SECONDS:
                    said = now
                    hourly = self.tally.kills / self.tally.storm_seconds * 3600
                    promises = len(self.load.journal.promises)
                    self.say(f"{self.tally.kills} kills, {hourly:.0f} an hour, {promises} invoices")
        finally:
            flag.unlink(missing_ok=True)

    async def _judge(self) -> None:
        began = time.monotonic()
        await asyncio.sleep(0.1)
        try:
            await self.arena.until_ready()
            self.tally.recoveries.append(time.monotonic() - began)
            found = await judge(self.arena, self.load, DRAIN_SECONDS)
        except Exception as error:
            found = [Finding("the platform comes back without a human", repr(error)[:500])]
        self.tally.judged += 1
        self.tally.findings += found
        took = time.monotonic() - began
        self.say(f"judged after {self.tally.kills} kills in {took:.0f} s: {len(found)} breaches")
        for finding in found[:10]:
            self.say(f"  {finding.rule}: {finding.what}")
        self.load.resume()


def main(
    *,
    count: Annotated[int, typer.Option(help="Kills")] = 1000,
    judge_every: Annotated[int, typer.Option(help="Kills between two judgements")] = 1000,
    seed: Annotated[int | None, typer.Option(help="Repeats the choices of a run")] = None,
) -> None:
    """Kills. Exit code 1 when something broke."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    root = data_folder() / "torture-kills"
    shutil.rmtree(root / "stack", ignore_errors=True)
    shutil.rmtree(root / "deaths", ignore_errors=True)
    (root / "deaths").mkdir(parents=True)
    chosen = random.SystemRandom().randrange(10**6) if seed is None else seed
    tally = Tally(chosen, root / "deaths")
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.0f} s[/]  {escape(line)}")

    say(f"seed {chosen}")
    everywhere = {"TORTURE_FOLDER": str(tally.folder), "TORTURE_SEED": str(chosen)}
    try:
        with running_arena(root, say, program=PROGRAM, everywhere=everywhere) as arena:
            asyncio.run(_storm(arena, tally, count, judge_every, say))
    except KeyboardInterrupt:
        say("interrupted")
    _report(tally)
    if tally.findings or not tally.judged:
        raise typer.Exit(1)


async def _storm(arena: Arena, tally: Tally, count: int, judge_every: int, say: Any) -> None:
    journal = arena.folder / "journal.jsonl"
    async with loading(arena, journal, random.Random(tally.seed)) as load:
        tally.work, load.lanes, load.pause_seconds = load.counts, LANES, 0.05
        await Storm(arena, load, tally, count, judge_every, say).run()


def _report(tally: Tally) -> None:
    table = Table("service", "at an await", "at a named point", "at any moment", "by itself")
    for service, deaths in tally.deaths().items():
        awaits, moments = deaths["await"], deaths["moment"]
        alone = sum(number for cause, number in deaths.items() if cause.startswith("ended"))
        points = deaths.total() - awaits - moments - alone
        table.add_row(service, *map(str, (awaits, points, moments, alone)))
    console.print(table)
    for finding in tally.findings[:40]:
        console.print(f"[bold red]breach:[/] {escape(f'{finding.rule}: {finding.what}')}")
    shown = tally.as_json()
    console.print(
        f"seed {tally.seed}: {tally.kills} kills in {tally.storm_seconds:.0f} s,"
        f" {shown['kills_per_hour']} an hour; {tally.judged} judgements,"
        f" {len(tally.findings)} breaches; work: {shown['work']}"
    )
    target = data_folder() / "torture-kills.json"
    target.write_text(json.dumps(shown, indent=2) + "\n")
    console.print(f"written: {target}")


if __name__ == "__main__":
    typer.run(main)
