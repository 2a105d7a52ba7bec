"""Audits that repeat on a system that goes on working: what each run needs is what came since.

Order matters. The topics are read, then the snapshot of the databases is taken, then the topics
are read again: what was published before the snapshot is on them by then, so that nothing looks
lost, and what came in between is used for that alone, so that nothing looks made up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter, Gauge

from audit.invariants import INVARIANTS
from audit.report import Report
from audit.running import CannotAudit, Session
from audit.topics import Reader, TopicMissing
from messaging import KafkaAccess

log = structlog.get_logger()
REST_FACTOR = 4
"""A run is followed by a rest of at least so many times what it took: it must not be the load."""


class Monitor:
    """Keeps a connection, and how far it has read the topics, from one run to the next.

    After a failure both begin anew.
    """

    def __init__(self, dsn: str, kafka: KafkaAccess | None, *, grace_s: float) -> None:
        """Name the auditor's role, and the broker unless the topics are to be left aside."""
        self._dsn = dsn
        self._kafka = kafka
        self._grace_s = grace_s
        self._connection: psycopg.Connection[Any] | None = None
        self._session: Session | None = None
        self._reader: Reader | None = None
        self.records = 0
        """Records read from the topics since the beginning of this process."""

    async def look(self) -> Report:
        """Run once; raises `CannotAudit`."""
        try:
            return await self._look()
        except (psycopg.Error, KafkaError, TopicMissing, OSError) as error:
            await self.close()
            raise CannotAudit(str(error) or type(error).__name__) from error
        except BaseException:
            await self.close()
            raise

    async def _look(self) -> Report:
        session = await self._opened()
        await self._read(session.load)
        if self._reader is not None:
            session.truncated = self._reader.truncated
        snapshot = session.snapshot()
        await asyncio.to_thread(snapshot.__enter__)
        await self._read(session.load_late)
        topics = self._reader is not None
        report = await asyncio.to_thread(session.judge, self._grace_s, topics=topics)
        await asyncio.to_thread(snapshot.__exit__, None, None, None)
        if topics:
            await asyncio.to_thread(session.fold, report)
        return report

    async def _read(self, load: Callable[[Any], None]) -> None:
        if self._reader is None:
            return
        async for chunk in self._reader.news():
            self.records += len(chunk)
            await asyncio.to_thread(load, chunk)

    async def _opened(self) -> Session:
        if self._session is None:
            connection = self._connection = await asyncio.to_thread(_connect, self._dsn)
            session = await asyncio.to_thread(Session, connection)
            if self._kafka is not None:
                self._reader = Reader(self._kafka)
                await self._reader.open()
            self._session = session
        return self._session

    async def close(self) -> None:
        """Let go of the connections; what was read is forgotten with them."""
        connection, self._connection, self._session = self._connection, None, None
        reader, self._reader = self._reader, None
        if connection is not None:
            connection.close()
        if reader is not None:
            with suppress(KafkaError, OSError):
                await reader.close()


def _connect(dsn: str) -> psycopg.Connection[Any]:
    return psycopg.connect(dsn, autocommit=True, connect_timeout=10)


class Gauges:
    """What Prometheus is told of the runs."""

    def __init__(self) -> None:
        """Every invariant is there from the beginning, so that an alert can count on it."""
        self.registry = CollectorRegistry()
        self._breaches = Gauge(
            "invoiceos_audit_breaches",
            "Rows that break an invariant; 0 where it holds",
            ["invariant", "settled"],
            registry=self.registry,
        )
        self._seconds = Gauge(
            "invoiceos_audit_seconds", "Duration of the last run", registry=self.registry
        )
        self._last = Gauge(
            "invoiceos_audit_last_run_timestamp_seconds",
            "When the last run ended that looked at everything",
            registry=self.registry,
        )
        self._records = Gauge(
            "invoiceos_audit_topic_records",
            "Records read from the topics since the start",
            registry=self.registry,
        )
        self.failures = Counter(
            "invoiceos_audit_failures",
            "Runs that could not look at everything",
            registry=self.registry,
        )
        self.last_run = time.time()
        """When the last run ended, or all began; seconds of the epoch."""
        for invariant in INVARIANTS:
            self._breaches.labels(invariant.name, str(invariant.settled).lower())

    def show(self, report: Report, records: int) -> None:
        """Show the outcome of a run."""
        for finding in report.looked_at:
            settled = str(finding.invariant.settled).lower()
            self._breaches.labels(finding.invariant.name, settled).set(finding.count)
        self._seconds.set(report.seconds)
        self.last_run = time.time()
        self._last.set(self.last_run)
        self._records.set(records)


async def repeat(monitor: Monitor, gauges: Gauges, every_s: float, ended: asyncio.Event) -> None:
    """Audit every so many seconds until the end is called; a run that has begun is finished.

    A run that fails is counted and followed by the next.
    """
    while not ended.is_set():
        rest = every_s
        try:
            report = await monitor.look()
        except CannotAudit as error:
            gauges.failures.inc()
            log.error("audit.failed", error=str(error)[:500])
        else:
            gauges.show(report, monitor.records)
            _tell(report)
            rest = max(every_s - report.seconds, REST_FACTOR * report.seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), rest)


def _tell(report: Report) -> None:
    for finding in report.findings:
        log.error(
            "invariant.breached",
            invariant=finding.invariant.name,
            sentence=finding.invariant.sentence,
            count=finding.count,
            rows=finding.rows[:3],
        )
