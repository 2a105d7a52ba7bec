"""Rounds: strike under load, wait until the platform works again, and judge now and then."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.torture.arena import READY_SECONDS, Arena, Fault, NotBack
from tests.torture.judge import Finding, judge
from tests.torture.load import Load
from tests.torture.report import Report, Round

BACK = "the platform comes back without a human"
STRIKE_SECONDS = 300
LEAD_SECONDS = 1.5
"""Load before a strike, so that it meets work in flight."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a campaign ends: at the first of these."""

    seconds: float | None = None
    """Looked at when each fault has struck once."""
    rounds: int | None = None
    judge_every: int = 10
    drain_seconds: float = 180


@dataclass
class Campaign:
    """One run against one arena."""

    arena: Arena
    load: Load
    faults: Sequence[Fault]
    chooser: random.Random
    limits: Limits
    report: Report
    say: Callable[[str], None]

    async def run(self) -> None:
        """All rounds, then the last judgement."""
        end = time.monotonic() + (self.limits.seconds or float("inf"))
        await self._recover()
        self.load.start()
        judged = 0
        for number, fault in enumerate(self._order(), start=1):
            late = time.monotonic() > end and number > len(self.faults)
            if late or (self.limits.rounds is not None and number > self.limits.rounds):
                break
            await self._round(number, fault)
            if number % self.limits.judge_every == 0:
                judged = await self._judge(judged)
        await self._judge(judged)

    def _order(self) -> Iterator[Fault]:
        """Each fault once in some order, then as the dice fall; without end."""
        first = list(self.faults)
        self.chooser.shuffle(first)
        yield from first
        while True:
            yield self.chooser.choice(self.faults)

    async def _round(self, number: int, fault: Fault) -> None:
        await asyncio.sleep(LEAD_SECONDS)
        findings: list[Finding] = []
        points, began = 0, time.monotonic()
        try:
            async with asyncio.timeout(STRIKE_SECONDS):
                points = await fault.strike(self.arena, self.chooser)
        except Exception as error:
            findings.append(Finding(BACK, f"{fault.name}, round {number}: {error!r}"[:500]))
        struck = time.monotonic()
        seconds: float | None = None
        try:
            seconds = await self._recover()
        except (NotBack, TimeoutError) as error:
            findings.append(Finding(BACK, f"{fault.name}, round {number}: {error!r}"[:500]))
        self.report.rounds.append(
            Round(number, fault.name, points, struck - began, seconds, list(findings))
        )
        self.report.findings += findings
        back = "not back" if seconds is None else f"back after {seconds:.1f} s"
        self.say(
            f"{number:4} {fault.name}: {points} points in {struck - began:.1f} s, {back},"
            f" {len(self.load.journal.promises)} invoices" + (" BREACH" if findings else "")
        )

    async def _recover(self) -> float:
        """Seconds until a fresh invoice is paid and every service is ready."""
        began = time.monotonic()
        async with asyncio.timeout(READY_SECONDS):
            probe = asyncio.create_task(self._probe())
            try:
                await self.arena.until_ready()
                await probe
            finally:
                probe.cancel()
        return time.monotonic() - began

    async def _probe(self) -> None:
        invoice_id = await self.load.one("exact")
        await self.load.until(invoice_id, lambda view: view["status"]["settlement"] == "paid")

    async def _judge(self, since: int) -> int:
        began = time.monotonic()
        try:
            found = await judge(self.arena, self.load, self.limits.drain_seconds)
        except Exception as error:
            found = [Finding("the judge can look", repr(error)[:500])]
        self.report.judge(found, since)
        took = time.monotonic() - began
        promises = len(self.load.journal.promises)
        self.say(f"     judged {promises} invoices in {took:.1f} s: {len(found)} breaches")
        for finding in found[:10]:
            self.say(f"     {finding.rule}: {finding.what}")
        self.load.resume()
        return len(self.report.rounds)
