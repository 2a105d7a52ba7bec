"""Reconcile a source: each step is one transaction, and the next one starts from what it left."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from messaging import Refusal, Tx
from messaging.failpoints import failpoint
from reserve_ledger.domain.reconciling import Result, RollForward, Rules, bridged, reconcile
from reserve_ledger.errors import NothingToReconcile
from reserve_ledger.store import reconciliation as store
from reserve_ledger.store.reconciliation import Job

SLA: Final[Mapping[str, timedelta]] = {
    "chain": timedelta(minutes=5),
    "provider": timedelta(days=3),
    "bank": timedelta(days=2),
}
"""How long the counterpart of a movement may take: a chain, cards T+3, wires T+2."""


@dataclass(frozen=True, slots=True)
class Start:
    """Who wants what reconciled, and up to when."""

    tenant_id: UUID
    source: str | None
    cut_off: datetime | None
    actor: str


async def start_reconciliations(tx: Tx, requests: Sequence[Start]) -> list[list[Job] | Refusal]:
    """Name the cut-off and begin, for each source and asset that has none running."""
    answers: list[list[Job] | Refusal] = []
    for request in requests:
        cut_off = request.cut_off or tx.now
        begun = [
            job
            for place in await store.select_sources(tx, request.source)
            if (job := await store.insert_reconciliation(tx, place, cut_off, request.actor))
        ]
        answers.append(begun or NothingToReconcile())
    tx.wake()
    return answers


async def take_step(tx: Tx) -> Job | None:
    """Make the next step of the oldest reconciliation; None where none has one to make."""
    job = await store.lock_next(tx)
    if job is not None:
        await _STEPS[job.step](tx, job)
        failpoint(f"reconciliation.{job.step}")
    return job


async def _stage(tx: Tx, job: Job) -> None:
    await store.stage_external(tx, job)
    await store.stage_ledger(tx, job)
    await store.seal_staging(tx, job)
    await store.advance(tx, job, "matching")


async def _match(tx: Tx, job: Job) -> None:
    result = await _judged(tx, job)
    await store.insert_matches(tx, job, result.matches)
    await store.advance(tx, job, "classifying", matched=len(result.matches))


async def _classify(tx: Tx, job: Job) -> None:
    result = await _judged(tx, job)
    await store.save_breaks(tx, job, result.breaks)
    await store.advance(tx, job, "proving", breaks=len(result.breaks))


async def _judged(tx: Tx, job: Job) -> Result:
    """From what was staged always the same."""
    external, ledger = await store.select_items(tx, job)
    return reconcile(external, ledger, rules=_rules(job), cut_off=job.cut_off)


def _rules(job: Job) -> Rules:
    """A bank names days and no times: there the whole time a movement may take is its window."""
    sla = SLA[job.kind]
    return Rules(sla=sla, window=sla) if job.kind == "bank" else Rules(sla=sla)


async def _prove(tx: Tx, job: Job) -> None:
    """Opening and movements are the closing on each side, and breaks explain what is between."""
    external, ledger = await store.select_items(tx, job)
    found = await store.select_roll_forward(tx, job)
    opening, closing = found["external_opening"], found["external_closing"]
    known = opening is not None and closing is not None
    outside = RollForward(
        "external", opening or 0, found["external_moved"] or 0, closing if known else None
    )
    inside = RollForward(
        "ledger",
        found["ledger_opening"] or 0,
        found["ledger_moved"] or 0,
        found["ledger_closing"],
    )
    breaks = (await _judged(tx, job)).breaks
    taken = {each.ledger for each in breaks}
    staged = RollForward("external", 0, sum(item.amount_minor for item in external), None)
    booked = [item for item in ledger if not item.elsewhere or item.key in taken]
    there = RollForward("ledger", 0, sum(item.amount_minor for item in booked), None)
    bridge = bridged(staged, there, breaks)
    proof = {
        "external": _told(outside),
        "ledger": _told(inside),
        "explained_by_breaks_minor": sum(each.amount_minor for each in breaks),
        "unexplained_minor": bridge,
    }
    proved = not (outside.off_minor or inside.off_minor or bridge)
    await store.save_proof(tx, job, proof, proved=proved)
    await store.advance(tx, job, "sign_off")


def _told(side: RollForward) -> dict[str, int | None]:
    return {
        "opening_minor": side.opening_minor,
        "movements_minor": side.movements_minor,
        "closing_minor": side.closing_minor,
        "off_minor": side.off_minor,
    }


_STEPS: Final[Mapping[str, Callable[[Tx, Job], Awaitable[None]]]] = {
    "staging": _stage,
    "matching": _match,
    "classifying": _classify,
    "proving": _prove,
}
