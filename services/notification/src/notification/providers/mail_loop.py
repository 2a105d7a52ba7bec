"""The loop that sends mails: claim, send outside of any transaction, record together."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from chassis.runtime import Runtime
from chassis.sealing import Sealer
from messaging import Database, failpoint
from messaging.faults import pause
from messaging.transaction import Committed
from notification.commands.record_mails import record_mails
from notification.domain.mails import MailClaim, MailOutcome
from notification.providers.smtp import MailServer
from notification.settings import NotificationSettings
from notification.store import mails as store

log = structlog.get_logger()
POLL_S = 0.5
CLAIM_MAX = 100
PER_TENANT_MAX = 25


class Server(Protocol):
    """Whoever sends mails."""

    async def send(self, claims: Sequence[MailClaim]) -> list[MailOutcome]:
        """Send mails, in this order; never raises."""


class Postman:
    """Sends what is due, several connections at a time, tenants in turns."""

    def __init__(self, database: Database, server: Server, settings: NotificationSettings) -> None:
        """Use the worker's database."""
        self._database = database
        self._server = server
        self._settings = settings
        self.wake = asyncio.Event()

    def on_commit(self, committed: Committed) -> None:
        """Something that is due now may have been committed."""
        if committed.woken:
            self.wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        failures = 0
        while True:
            try:
                self.wake.clear()
                sent = await self.step()
                failures = 0
            except Exception as error:
                failures += 1
                log.warning("mails.failed", error=repr(error), failures=failures)
                await pause(failures)
                continue
            if not sent:
                await self._rest()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), POLL_S)

    async def step(self) -> int:
        """Send one batch of what is due; how many were tried."""
        claims = await self.claim()
        if not claims:
            return 0
        hands = min(self._settings.mail_concurrency, len(claims))
        shares = [claims[hand::hands] for hand in range(hands)]
        answers = await asyncio.gather(*(self._server.send(share) for share in shares))
        failpoint("mails.sent")
        async with self._database.transaction() as tx:
            outcomes = [outcome for answer in answers for outcome in answer]
            await record_mails(tx, outcomes, self._settings.mail_retry_s)
        return len(claims)

    async def claim(self) -> list[MailClaim]:
        """Take what is due."""
        async with self._database.transaction() as tx:
            await store.release_expired(tx, CLAIM_MAX)
            return await store.claim_mails(
                tx, CLAIM_MAX, PER_TENANT_MAX, self._settings.mail_lease_s
            )


async def send_mails(runtime: Runtime) -> None:
    """Worker of the service."""
    settings: NotificationSettings = runtime.settings
    sealer = Sealer(settings.personal_data_key.get_secret_value())
    postman = Postman(runtime.worker, MailServer(settings, sealer), settings)
    runtime.worker.on_commit.append(postman.on_commit)
    try:
        await postman.run()
    finally:
        runtime.worker.on_commit.remove(postman.on_commit)
