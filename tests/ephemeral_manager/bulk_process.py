"""One step of a bulk order in a process of its own, that a named point kills."""

import asyncio
import hashlib
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from ephemeral_manager.app import service
from ephemeral_manager.commands.cancel_bulk import Cancellation, cancel_bulk
from ephemeral_manager.commands.order_bulk import Order, order_bulk
from ephemeral_manager.commands.settle_bulk_rows import settle_bulk_rows
from ephemeral_manager.domain.bulk import Row
from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import InvoiceIssued
from messaging import Database, TimerLoop, Tx
from messaging.failpoints import arm

Step = Literal["order", "request", "settle", "cancel"]
_context = multiprocessing.get_context("forkserver")


@dataclass(frozen=True, slots=True)
class Doing:
    """Whose order, and what is done about it."""

    worker: str
    schema: str
    tenant: UUID
    references: tuple[str, ...]
    job: UUID | None = None
    facts: tuple[str, ...] = ()


def the_order(doing: Doing) -> Order:
    """The same rows each time, as a client sends them again."""
    due = datetime.now(UTC) + timedelta(days=1)
    rows = tuple(
        Row(
            position=place,
            reference=name,
            invoice_id=Tx.new_id(),
            terms_hash=hashlib.sha256(name.encode()).digest(),
            amount=Amount(amount_minor=1250, asset="USD"),
            description=name,
            due_at=due,
            customer_id=None,
            ttl_s=3600,
            watch_window_s=60,
        )
        for place, name in enumerate(doing.references, 1)
    )
    return Order(doing.tenant, "me", rows)


async def carry_out(database: Database, step: Step, doing: Doing) -> None:
    """One step, as the service takes it."""
    if step == "request":
        await TimerLoop(database, service.timers).fire_due()
        return
    async with database.transaction([doing.tenant]) as tx:
        if step == "order":
            await order_bulk(tx, [the_order(doing)])
        elif step == "settle":
            facts: Sequence[InvoiceIssued] = [
                InvoiceIssued.model_validate_json(one) for one in doing.facts
            ]
            await settle_bulk_rows(tx, facts)
        else:
            assert doing.job is not None
            await cancel_bulk(tx, [Cancellation(doing.tenant, doing.job, "me")])


def dies(step: Step, doing: Doing, point: str, environment: dict[str, str]) -> None:
    """A process that takes the step and does not survive the point."""
    process = _context.Process(target=_main, args=(step, doing, point, environment))
    process.start()
    process.join(120)
    assert process.exitcode == -9, process.exitcode


def _main(step: Step, doing: Doing, point: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    arm(point)
    asyncio.run(_work(step, doing))


async def _work(step: Step, doing: Doing) -> None:
    await carry_out(await Database.open(doing.worker, doing.schema, size=1), step, doing)
