"""The loop that delivers webhooks: claim, attempt outside of any transaction, record together."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import structlog

from chassis.runtime import Runtime
from chassis.sealing import Sealer
from messaging import Database, failpoint
from messaging.faults import is_transient, pause
from messaging.transaction import Committed
from notification.commands.record_deliveries import record_deliveries
from notification.domain.deliveries import Claim, Outcome, Schedule
from notification.providers.guard import GuardedResolver, open_session
from notification.providers.webhook import Sender
from notification.settings import NotificationSettings
from notification.store import deliveries as store
from notification.store.deliveries import Room

log = structlog.get_logger()
POLL_S = 0.5
TIDY_S = 5.0
TIDY_ROWS = 1000


class Attempts(Protocol):
    """Whoever makes attempts."""

    async def attempt(self, claim: Claim) -> Outcome:
        """Attempt a delivery; never raises."""


class Dispatcher:
    """Keeps as many attempts in the air as there is room for, tenants in turns."""

    def __init__(
        self, database: Database, sender: Attempts, settings: NotificationSettings
    ) -> None:
        """Use the worker's database."""
        self._database = database
        self._sender = sender
        self._settings = settings
        self._schedule = Schedule(settings.webhook_retry_s, settings.webhook_disable_after_s)
        self._in_flight: dict[asyncio.Task[Outcome], Claim] = {}
        self._finished: list[Outcome] = []
        self._tidied = 0.0
        self.wake = asyncio.Event()

    def on_commit(self, committed: Committed) -> None:
        """Something that is due now may have been committed."""
        if committed.woken:
            self.wake.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is in the air then is given back."""
        failures = 0
        try:
            while True:
                try:
                    idle = await self.step()
                    failures = 0
                except Exception as error:
                    failures += 1
                    log.warning("webhooks.failed", error=repr(error), failures=failures)
                    await pause(failures)
                    continue
                if idle:
                    await self._rest()
        finally:
            await asyncio.shield(self._wind_down())

    async def step(self) -> bool:
        """Record what is finished and start what is due; whether there was nothing to do."""
        self.wake.clear()
        recorded = await self._record()
        await self._tidy()
        return not await self._start() and not recorded

    async def settle(self) -> None:
        """Deliver until nothing is due and nothing in the air; for tests and shutdown."""
        while not await self.step() or self._in_flight:
            if self._in_flight:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), POLL_S)

    async def _start(self) -> int:
        claims = await self.claim()
        for claim in claims:
            task = asyncio.create_task(self._sender.attempt(claim))
            self._in_flight[task] = claim
            task.add_done_callback(self._done)
        return len(claims)

    async def claim(self) -> list[Claim]:
        """Take what is due, as far as there is room."""
        held = list(self._in_flight.values())
        room = Room(
            total=self._settings.webhook_concurrency - len(held),
            per_tenant=self._settings.webhook_concurrency_per_tenant,
            failing=max(
                0, self._settings.webhook_concurrency // 4 - sum(one.failing for one in held)
            ),
            in_flight=dict(Counter(one.tenant_id for one in held)),
            at_endpoints=dict(Counter(one.endpoint_id for one in held)),
            lease_s=self._settings.webhook_lease_s,
        )
        if room.total <= 0 or not await store.any_due(self._database):
            return []
        async with self._database.transaction() as tx:
            claims = await store.claim_deliveries(tx, room)
        failpoint("webhooks.claimed")
        return claims

    def _done(self, task: asyncio.Task[Outcome]) -> None:
        self._in_flight.pop(task)
        if not task.cancelled():
            self._finished.append(task.result())
        self.wake.set()

    async def _record(self) -> int:
        if not self._finished:
            return 0
        outcomes, self._finished = self._finished, []
        failpoint("webhooks.attempted")
        try:
            await self._write(outcomes)
        except BaseException:
            self._finished = outcomes + self._finished
            raise
        return len(outcomes)

    async def _write(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes; where one of them cannot be written it must not hold up the others."""
        try:
            async with self._database.transaction() as tx:
                await record_deliveries(tx, outcomes, self._schedule)
        except Exception as error:
            if is_transient(error):
                raise
            if len(outcomes) == 1:
                log.exception("webhook.not_recorded", delivery=str(outcomes[0].claim.delivery_id))
                return
            half = len(outcomes) // 2
            await self._write(outcomes[:half])
            await self._write(outcomes[half:])

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied < TIDY_S:
            return
        self._tidied = time.monotonic()
        async with self._database.transaction() as tx:
            await store.release_expired(tx, TIDY_ROWS)
            await store.cancel_unreachable(tx, TIDY_ROWS)

    async def _wind_down(self) -> None:
        claims = list(self._in_flight.values())
        for task in list(self._in_flight):
            task.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        await self._record()
        if claims:
            async with self._database.transaction() as tx:
                await store.give_back(tx, claims)


async def deliver_webhooks(runtime: Runtime) -> None:
    """Worker of the service."""
    settings: NotificationSettings = runtime.settings
    resolver = GuardedResolver(settings.webhook_allow_hosts, threads=settings.webhook_concurrency)
    sealer = Sealer(settings.webhook_secret_key.get_secret_value())
    async with open_session(
        resolver,
        connections=settings.webhook_concurrency,
        timeout_s=settings.webhook_timeout_s,
    ) as session:
        sender = Sender(session, sealer, settings.webhook_allow_hosts)
        dispatcher = Dispatcher(runtime.worker, sender, settings)
        for database in (runtime.worker, runtime.api):
            database.on_commit.append(dispatcher.on_commit)
        try:
            await dispatcher.run()
        finally:
            for database in (runtime.worker, runtime.api):
                database.on_commit.remove(dispatcher.on_commit)
            await resolver.close()
