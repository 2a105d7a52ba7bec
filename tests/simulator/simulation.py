"""One seed from beginning to end: services, people, faults, a quiet period, and the judgement."""

import asyncio
import gc
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import psycopg
import structlog
from tests.simulator import edge, gate, surroundings
from tests.simulator.apart import apart
from tests.simulator.chain import SimChain
from tests.simulator.clients import Client, Payer, verdict
from tests.simulator.cluster import Cluster, services
from tests.simulator.database import Databases
from tests.simulator.fates import Fates, Plan
from tests.simulator.gate import Gate
from tests.simulator.history import History
from tests.simulator.kafka import SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import NODE
from tests.simulator.receivers import (
    MailBox,
    Receivers,
    verdict_of_mails,
    verdict_of_webhooks,
)
from tests.simulator.settings import SECRETS, SERVICES, environment_of, settings_of

from audit import run as audit_run
from audit.topics import TopicRecord
from invoiceos_contracts.registry import topics
from invoiceos_local import tempo_facts
from invoiceos_local.environment import schema_of
from testkit import routes

QUIET_S = 600.0
"""Virtual seconds in which everything has to come to its end once nothing goes wrong any more."""
LOOK_EVERY_S = 5.0
SOON_S = 60.0
"""A timer that is due later than this is not waited for: a due date in a fortnight, say."""
START_S = 30.0


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    digest: str
    findings: list[str]
    reached: Counter[str]
    virtual_s: float
    real_s: float
    statements: int
    records: int
    invoices: int
    crashes: int
    history: list[str] = field(default_factory=list, repr=False)


class Simulation:
    """The world of one seed."""

    def __init__(self, plan: Plan, databases: Databases, *, keep_all: bool = False) -> None:
        self.plan = plan
        self.reached: Counter[str] = Counter()
        self.history = History(keep_all=keep_all)
        chooser = random.Random(f"run {plan.seed}")
        self._part = lambda: random.Random(chooser.getrandbits(64))
        self.loop = SimLoop(self._part())
        self.admin_url = databases.admin_url
        self.gate = Gate(self.loop, self._part(), self.admin_url, self.history, self._reached)
        self.kafka = SimKafka(self._part(), [spec.name for spec in topics()], reached=self._reached)
        names = SERVICES
        self.environments = {n: environment_of(n, self.admin_url, databases.name) for n in names}
        self.cluster = Cluster(
            self.loop,
            self._part(),
            self.gate,
            self.kafka,
            lambda name, kind: settings_of(kind, self.environments[name]),
            self.history,
            self._reached,
        )
        self.chain = SimChain(self._part(), self.now, tempo_facts, reached=self._reached)
        self.receivers = Receivers(self._part(), self.now, reached=self._reached)
        self.mail = MailBox(self._part(), self.now, reached=self._reached)
        self.clients: list[Client] = []

    def _reached(self, name: str) -> None:
        self.reached[name] += 1

    def now(self) -> datetime:
        """The world's own clock, which is right."""
        return surroundings.EPOCH + timedelta(seconds=self.loop.time())

    @contextmanager
    def _installed(self) -> Iterator[None]:
        together: dict[str, str] = {}
        for environment in self.environments.values():
            together |= environment
        ports = {int(e["INVOICEOS_HTTP_PORT"]): n for n, e in self.environments.items()}
        with ExitStack() as stack:
            for context in (
                surroundings.installed(
                    self.loop,
                    self._part(),
                    self.kafka,
                    together,
                    skew_s=self.plan.skew_s,
                    idle_s=self.plan.idle_s,
                ),
                gate.installed(self.gate),
                edge.installed(self.cluster, ports),
                self.chain.installed(NODE.get),
                self.receivers.installed(NODE.get),
                self.mail.installed(NODE.get),
            ):
                stack.enter_context(context)
            yield

    def run(self) -> Outcome:
        """Live through the seed; never raises for what the services do wrong."""
        began = _real()
        findings: list[str] = []
        with self._installed():
            try:
                findings = self.loop.run_until_complete(self._live())
            except Stuck as stuck:
                findings = [str(stuck)]
                self.history.lines.extend(self._where_everybody_stands())
        findings += self._audit()
        for record in self.kafka.log():
            kind = next((v.decode() for k, v in record.headers if k == "ce_type"), "")
            place = f"{record.topic}/{record.partition}/{record.offset}"
            self.history.note(self.loop.time(), "log", f"{place} {record.key!r} {kind}")
        return Outcome(
            seed=self.plan.seed,
            digest=self.history.digest,
            findings=findings,
            reached=self.reached,
            virtual_s=self.loop.time(),
            real_s=_real() - began,
            statements=self.gate.statements,
            records=len(self.kafka.log()),
            invoices=sum(len(client.bills) for client in self.clients),
            crashes=sum(process.crashes for process in self.cluster.processes.values()),
            history=list(self.history.lines),
        )

    async def _live(self) -> list[str]:
        making_blocks = asyncio.ensure_future(self.chain.run())
        limits = asyncio.ensure_future(self._server_limits())
        for name in self.cluster.processes:
            self.cluster.start(name)
        await self._until(lambda: self.cluster.all_up, START_S, "the services did not start")
        await self._companies()
        fates = Fates(self.plan, self._part(), self, self._reached)
        people = asyncio.gather(*(self._let_work(client) for client in self.clients))
        await fates.run()
        for client in self.clients:
            client.calm()
        await self._until(people.done, QUIET_S, "the companies got no answers")
        people.result()
        await self._until(self._is_quiet, QUIET_S, "the system did not come to rest")
        findings = [
            finding
            for client in self.clients
            for finding in await verdict(client, self.chain.truth(), now=self.now(), lived_out=True)
        ]
        findings += verdict_of_webhooks(
            self.receivers, self._events_wanted(), tolerance_s=abs(self.plan.skew_s) + 60
        )
        announced = {one for client in self.clients for one in client.announced}
        findings += verdict_of_mails(self.mail, announced)
        making_blocks.cancel()
        limits.cancel()
        return findings

    async def _let_work(self, client: Client) -> None:
        payer = Payer(self.chain, chooser=self._part(), now=self.now, reached=self._reached)
        if self.plan.chain_away_s is not None:
            # Until it is known that the node is away: then no invoice can be issued.
            await asyncio.sleep(self.plan.chain_away_s / 2)
        await client.run(self.plan.invoices, payer)

    def _events_wanted(self) -> dict[str, set[str]]:
        """Ids of the events each endpoint had to be told, by URL."""
        rows = self.gate._monitor.execute(
            """
            select e.url, ev.id::text from notification.webhook_endpoint e
            join notification.webhook_delivery d on d.endpoint_id = e.id
            join notification.webhook_event ev on ev.id = d.event_id
            """
        ).fetchall()
        wanted: dict[str, set[str]] = {}
        for url, event_id in rows:
            wanted.setdefault(url, set()).add(event_id)
        return wanted

    async def _companies(self) -> None:
        """Tenants, their keys, and the endpoints they want their events at."""
        for number in range(self.plan.companies):
            made = await self._operate("/api/v1/tenants", f'{{"name": "Company {number}"}}')
            client = Client(
                f"c{number}",
                self._call,
                made["api_key"],
                chooser=self._part(),
                now=self.now,
                faults=self.plan.clients,
                reached=self._reached,
            )
            self.clients.append(client)
            url = f"https://receiver.test/hook/{number}"
            wanted = (
                ("*",)
                if self.plan.every_event
                else ("invoiceos.invoice.paid.v1", "invoiceos.invoice.closed.v1")
            )
            secret = await client.register_webhook(url, wanted)
            self.receivers.expect(url, secret)

    async def _operate(self, path: str, body: str) -> Any:
        import json

        headers = {
            "Authorization": f"Bearer {SECRETS.operator_token}",
            "Content-Type": "application/json",
        }
        status, _, answer = await self._call("POST", path, headers, body.encode())
        assert status == 201, answer
        return json.loads(answer)

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with asyncio.timeout(40):
            return await self.cluster.call("gateway", method, path, headers, body)

    async def _server_limits(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.gate.end_the_idle()

    async def _until(self, condition: Any, seconds: float, otherwise: str) -> None:
        end = self.loop.time() + seconds
        while not condition():
            if self.loop.time() > end:
                raise Stuck(f"{otherwise}: {self._what_is_left()}")
            await asyncio.sleep(LOOK_EVERY_S if seconds > START_S else 0.05)

    def _is_quiet(self) -> bool:
        left = self._what_is_left()
        return not left

    def _what_is_left(self) -> str:
        """Empty when nothing is under way any more."""
        if not self.cluster.all_up:
            down = [p.name for p in self.cluster.processes.values() if p.app is None]
            return f"down: {down}"
        groups = [
            found.group for p in self.cluster.processes.values() for found in p.service.groups()
        ]
        if not self.kafka.drained(groups):
            return "records are unread"
        if self.chain.waiting or self._swept() < self.chain.last_paid_number:
            return "payments are not seen yet"
        limit = self.now() + timedelta(seconds=SOON_S)
        unsent = " union all ".join(
            f"select '{schema}.outbox', count(*) from {schema}.outbox union all "
            f"select '{schema}.timer', count(*) from {schema}.timer where due_at < %(limit)s"
            for schema in map(schema_of, SERVICES)
        )
        more = (
            " union all select 'deliveries', count(*) from notification.webhook_delivery"
            " where state in ('pending', 'delivering')"
            " union all select 'mails', count(*) from notification.notification"
            " where state in ('pending', 'sending')"
        )
        rows = self.gate._monitor.execute(unsent + more, {"limit": limit}).fetchall()
        left = {name: count for name, count in rows if count}
        return f"{left}" if left else ""

    def _swept(self) -> int:
        """The last block that was looked at; -1 before the first."""
        row = self.gate._monitor.execute(
            "select max(number) from provider_orchestrator.chain_cursor"
        ).fetchone()
        return -1 if row is None or row[0] is None else int(row[0])

    def _where_everybody_stands(self) -> Iterator[str]:
        """For whoever has to find out why nothing goes on: what each task waits for."""
        for task in sorted(asyncio.all_tasks(self.loop), key=asyncio.Task.get_name):
            frames = task.get_stack()
            coroutine = task.get_coro()
            inner = _innermost(coroutine)
            node = task.get_context().get(NODE) if hasattr(task, "get_context") else None
            if frames:
                yield f"at the end {node or ''} {task.get_name()} waits in {inner}"

    def _audit(self) -> list[str]:
        records = [TopicRecord.of(record) for record in self.kafka.log()]
        with psycopg.connect(self.admin_url) as connection:
            report = audit_run(connection, records, grace_s=0)
        return [
            f"{finding.invariant.name}: {finding.count}, {finding.rows[:3]}"
            for finding in report.findings
            if not given(finding.invariant.name, finding.rows, self.chain.gifts())
        ]


def given(name: str, rows: Sequence[Mapping[str, Any]], gifts: Sequence[int]) -> bool:
    """Whether the reserve is right to say that there is more than was booked, and says how much.

    What strangers sent to the treasury between its first observation and its last one. Where those
    were is not known here, so some of their transfers in a row have to explain it to the unit.
    """
    sums = {sum_ for first in range(len(gifts)) for sum_ in accumulate(gifts[first:])}
    return name == "reserve.no_breach_open" and all(
        row["kind"] == "chain" and row["difference_minor"] in sums for row in rows
    )


class Stuck(Exception):
    """Something that must happen in the end did not."""


def _innermost(coroutine: Any) -> str:
    """Where a coroutine is held up: the chain of functions, outermost first."""
    places = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is None:
            break
        places.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        coroutine = getattr(coroutine, "cr_await", None)
    return " > ".join(places)


def _real() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def prepare_process() -> None:
    """Once a process: nothing is logged, everything is loaded, and what is loaded is not garbage.

    Garbage is never collected: that would run code of dead services, and a process that lives
    through a seed has an end anyway.
    """
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    routes.analyse_once(services())
    gc.collect()
    gc.freeze()
    gc.disable()


def simulate(plan: Plan, databases: Databases, *, keep_all: bool = False) -> Outcome:
    """Live through one seed on an empty database, in a process that nothing was run in before."""
    databases.renew()
    return apart(lambda: Simulation(plan, databases, keep_all=keep_all).run())
