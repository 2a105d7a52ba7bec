"""Requests that wait at the same moment share one transaction; each keeps its own answer."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import structlog

from messaging import idempotency
from messaging.database import Database
from messaging.errors import IdempotencyKeyReused, OutcomeUnknown, Overloaded, Refusal
from messaging.faults import is_transient, pause
from messaging.idempotency import Answer, RequestKey
from messaging.metrics import BATCH_SECONDS, BATCH_SIZE, WRITER_QUEUE
from messaging.transaction import Tx

log = structlog.get_logger()
R = TypeVar("R")
T = TypeVar("T")
Command = Callable[[Tx, Sequence[R]], Awaitable[Sequence[T | Refusal]]]
"""A use case: takes a list, answers each item in its place; refuses by returning, not raising."""
TRANSIENT_TRIES = 6


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for its transaction."""

    command: Command[Any, Any]
    request: Any
    tenant_id: UUID
    answer: Callable[[Any], Answer]
    key: RequestKey | None
    outcome: asyncio.Future[Answer] = field(default_factory=asyncio.Future)


class Writer:
    """Puts waiting requests into batches: one transaction, one call of each command."""

    def __init__(self, database: Database, *, batch_max: int = 500, queue_max: int = 5000) -> None:
        """Use the api role's database. Above `queue_max` waiting requests new ones are refused."""
        self._database = database
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._queue: deque[Waiting] = deque()
        self._wake = asyncio.Event()

    async def submit(
        self,
        command: Command[R, T],
        request: R,
        *,
        tenant_id: UUID,
        answer: Callable[[T], Answer],
        key: RequestKey | None = None,
    ) -> Answer:
        """Have a command carry out a request; its answer once the transaction has committed.

        Raises the `Refusal` the command gave for this request, or `Overloaded`.
        """
        if len(self._queue) >= self._queue_max:
            raise Overloaded
        waiting = Waiting(command, request, tenant_id, answer, key)
        self._queue.append(waiting)
        WRITER_QUEUE.set(len(self._queue))
        self._wake.set()
        return await waiting.outcome

    async def run(self) -> None:
        """Write batches until cancelled; whoever still waits then is told so."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    size = min(len(self._queue), self._batch_max)
                    batch = [self._queue.popleft() for _ in range(size)]
                    WRITER_QUEUE.set(len(self._queue))
                    await self._write(batch)
        finally:
            for waiting in self._queue:
                _tell(waiting, Overloaded("The service is stopping; send the request again"))

    async def drain(self) -> None:
        """Wait until nothing is queued."""
        while self._queue:  # noqa: ASYNC110 - asked once, at shutdown
            await asyncio.sleep(0.005)

    async def _write(self, batch: list[Waiting]) -> None:
        """Write a batch; one whose fault lasts is halved until the culprit stands alone."""
        failures = 0
        while True:
            try:
                outcomes = await self._transact(batch)
            except OutcomeUnknown as unknown:
                for waiting in batch:
                    _tell(waiting, unknown)
                return
            except Exception as error:
                failures += 1
                if is_transient(error) and failures < TRANSIENT_TRIES:
                    await pause(failures, ceiling_s=1.0)
                    continue
                if is_transient(error):
                    log.warning("write.unavailable", size=len(batch), error=repr(error)[:500])
                    for waiting in batch:
                        _tell(waiting, Overloaded("The database cannot be reached; try again"))
                elif len(batch) == 1:
                    log.exception("write.failed", command=batch[0].command.__name__)
                    _tell(batch[0], error)
                else:
                    half = len(batch) // 2
                    await self._write(batch[:half])
                    await self._write(batch[half:])
                return
            for waiting, outcome in outcomes:
                _tell(waiting, outcome)
            return

    async def _transact(self, batch: list[Waiting]) -> list[tuple[Waiting, Answer | Exception]]:
        BATCH_SIZE.labels("writer").observe(len(batch))
        tenants = {waiting.tenant_id for waiting in batch}
        with BATCH_SECONDS.labels("writer").time():
            xid: str | None = None
            try:
                async with self._database.transaction(tenants) as tx:
                    outcomes = await _carry_out(tx, batch)
                    xid = await tx.fetchval("select pg_current_xact_id()::text")
            except Exception as error:
                # A commit whose answer was lost may have happened: to write again would double it.
                if xid is None or not is_transient(error) or not await self._has_committed(xid):
                    raise
            return outcomes

    async def _has_committed(self, xid: str) -> bool:
        """What became of a transaction; raises `OutcomeUnknown` when the database does not say."""
        for failures in range(1, TRANSIENT_TRIES + 1):
            try:
                status = await self._database.fetchval("select pg_xact_status($1::text::xid8)", xid)
            except Exception as error:
                log.warning("write.unknown", xid=xid, error=repr(error)[:500])
            else:
                if status != "in progress":
                    return bool(status == "committed")
            await pause(failures, ceiling_s=1.0)
        raise OutcomeUnknown


async def _carry_out(tx: Tx, batch: list[Waiting]) -> list[tuple[Waiting, Answer | Exception]]:
    first: dict[RequestKey, Waiting] = {}
    for waiting in batch:
        if waiting.key is not None:
            first.setdefault(waiting.key, waiting)
    known = await idempotency.claim(tx, list(first)) if first else {}
    fresh = [
        waiting
        for waiting in batch
        if waiting.key is None or (first[waiting.key] is waiting and waiting.key not in known)
    ]
    outcomes: dict[Waiting, Answer | Refusal] = {}
    for command in dict.fromkeys(waiting.command for waiting in fresh):
        group = [waiting for waiting in fresh if waiting.command is command]
        results = await command(tx, [waiting.request for waiting in group])
        for waiting, result in zip(group, results, strict=True):
            outcomes[waiting] = result if isinstance(result, Refusal) else waiting.answer(result)
    if first:
        await idempotency.keep(tx, {w.key: o for w, o in outcomes.items() if w.key is not None})
    return [(waiting, _outcome_of(waiting, first, known, outcomes)) for waiting in batch]


def _outcome_of(
    waiting: Waiting,
    first: dict[RequestKey, Waiting],
    known: dict[RequestKey, Answer | Refusal],
    outcomes: dict[Waiting, Answer | Refusal],
) -> Answer | Refusal:
    if waiting in outcomes:
        return outcomes[waiting]
    assert waiting.key is not None
    original = first[waiting.key]
    assert original.key is not None
    if original.key.request_hash != waiting.key.request_hash:
        return IdempotencyKeyReused()
    if waiting.key in known:
        return known[waiting.key]
    return idempotency.again(outcomes[original])


def _tell(waiting: Waiting, outcome: Answer | Exception) -> None:
    if waiting.outcome.done():
        return
    if isinstance(outcome, Answer):
        waiting.outcome.set_result(outcome)
    else:
        waiting.outcome.set_exception(outcome)
