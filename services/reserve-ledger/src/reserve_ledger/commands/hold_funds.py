"""Holds: money that is promised is not available, until it is captured, given up or expired."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from messaging import Refusal, Tx
from messaging.failpoints import failpoint
from messaging.timers import Timer
from reserve_ledger.commands.post_for_tenants import save
from reserve_ledger.commands.post_transactions import totals_of
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chain import Ledger, Posted
from reserve_ledger.domain.entries import Entry
from reserve_ledger.domain.hold_facts import fact_of
from reserve_ledger.domain.tenant_postings import CAPTURED, Hold, HoldState, Line, leg_of
from reserve_ledger.errors import (
    AccountNotYours,
    CaptureTooLarge,
    HoldEnded,
    HoldNotFound,
    InsufficientFunds,
    ReferenceReused,
)
from reserve_ledger.store import holds as store
from reserve_ledger.store.balances import open_ledgers
from reserve_ledger.store.chain import lock_heads

EXPIRY: Final = "ledger.hold_expiry"


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """What is to be held back, and until when."""

    tenant_id: UUID
    actor: str
    line: Line
    reference: str
    expires_at: datetime | None


async def place_holds(tx: Tx, requests: Sequence[HoldRequest]) -> list[Hold | Refusal]:
    """Hold back what is available, checked under the lock on the chain; once for a reference."""
    legs = [leg_of(request.line) for request in requests]
    sound = [
        (request.tenant_id, leg)
        for request, leg in zip(requests, legs, strict=True)
        if isinstance(leg, Leg)
    ]
    if not sound:
        return [leg if isinstance(leg, Refusal) else AccountNotYours() for leg in legs]
    heads = await lock_heads(tx, (tenant for tenant, _ in sound))
    ledgers = await open_ledgers(tx, heads, sound)
    known = await store.select_holds_named(tx, [(r.tenant_id, r.reference) for r in requests])
    answers: list[Hold | Refusal] = []
    placed: list[Hold] = []
    for request, leg in zip(requests, legs, strict=True):
        if isinstance(leg, Refusal):
            answers.append(leg)
            continue
        name = (request.tenant_id, request.reference)
        if name in known:
            answers.append(_again(request, known[name]))
            continue
        account = ledgers[request.tenant_id].account(leg)
        if request.line.amount_minor > account.available_minor:
            answers.append(_short(request.line, account.available_minor))
            continue
        account.held_minor += request.line.amount_minor
        known[name] = _placed(tx, request)
        placed.append(known[name])
        answers.append(known[name])
    await _save(tx, ledgers, placed)
    tx.schedule(
        Timer(EXPIRY, str(hold.id), hold.tenant_id, hold.expires_at)
        for hold in placed
        if hold.expires_at is not None
    )
    return answers


def _placed(tx: Tx, request: HoldRequest) -> Hold:
    return Hold(
        tenant_id=request.tenant_id,
        id=tx.new_id(),
        reference=request.reference,
        address=request.line.address,
        asset=request.line.asset,
        amount_minor=request.line.amount_minor,
        state=HoldState.HELD,
        actor=request.actor,
        created_at=tx.now,
        expires_at=request.expires_at,
    )


def _again(request: HoldRequest, before: Hold) -> Hold | Refusal:
    asked = (request.line, request.expires_at)
    same = asked == (Line(before.address, before.asset, before.amount_minor), before.expires_at)
    return before if same else ReferenceReused(hold_id=str(before.id))


def _short(line: Line, available_minor: int) -> InsufficientFunds:
    available = max(0, available_minor)
    return InsufficientFunds(address=line.address, asset=line.asset, available_minor=available)


@dataclass(frozen=True, slots=True)
class HoldEnd:
    """How a hold is to end."""

    tenant_id: UUID
    hold_id: UUID
    actor: str
    to: str | None = None
    """Where the captured money goes; None gives the hold up."""
    amount_minor: int | None = None
    """All of it where none is named; what is left of it is available again."""


async def end_holds(tx: Tx, requests: Sequence[HoldEnd]) -> list[Hold | Refusal]:
    """Capture or void each hold, once."""
    heads = await lock_heads(tx, (request.tenant_id for request in requests))
    found = await store.select_holds(tx, [(r.tenant_id, r.hold_id) for r in requests])
    legs = [(hold.tenant_id, hold.leg(0)) for hold in found.values()]
    for request in requests:
        hold = found.get((request.tenant_id, request.hold_id))
        if hold is not None and request.to is not None:
            to = leg_of(Line(request.to, hold.asset, 0))
            legs += [(request.tenant_id, to)] if isinstance(to, Leg) else []
    ledgers = await open_ledgers(tx, heads, legs)
    before = totals_of(ledgers.values())
    answers: list[Hold | Refusal] = []
    changed: dict[UUID, Hold] = {}
    posted: list[Posted] = []
    for request in requests:
        hold = found.get((request.tenant_id, request.hold_id))
        after = _end(tx, request, hold, ledgers, posted)
        answers.append(after)
        if isinstance(after, Hold):
            found[after.tenant_id, after.id] = changed[after.id] = after
    await _save(tx, ledgers, list(changed.values()))
    await save(tx, ledgers, before, posted)
    return answers


def _end(
    tx: Tx, request: HoldEnd, hold: Hold | None, ledgers: dict[UUID, Ledger], posted: list[Posted]
) -> Hold | Refusal:
    if hold is None:
        return HoldNotFound()
    if not hold.is_open(tx.now):
        return HoldEnded(state=hold.state)
    ledger = ledgers[hold.tenant_id]
    account = ledger.account(hold.leg(0))
    if request.to is None:
        account.held_minor -= hold.amount_minor
        return hold.ended(HoldState.VOIDED, tx.now)
    captured = hold.amount_minor if request.amount_minor is None else request.amount_minor
    to = leg_of(Line(request.to, hold.asset, -captured))
    if isinstance(to, Refusal):
        return to
    if captured > hold.amount_minor:
        return CaptureTooLarge(held_minor=hold.amount_minor)
    account.held_minor -= hold.amount_minor
    entry_id = tx.new_id()
    entry = Entry(
        tenant_id=hold.tenant_id,
        id=entry_id,
        template=CAPTURED,
        cause_event_id=entry_id,
        legs=(hold.leg(captured), to),
        actor=request.actor,
    )
    posted.append(ledger.post(entry))
    return hold.ended(HoldState.CAPTURED, tx.now, captured, entry_id)


async def expire_holds(tx: Tx, timers: Sequence[Timer]) -> None:
    """What was not captured in time is available again."""
    heads = await lock_heads(tx, (timer.tenant_id for timer in timers))
    keys = [(timer.tenant_id, UUID(timer.ref)) for timer in timers]
    found = await store.select_holds(tx, keys)
    holds = [hold for hold in found.values() if hold.state is HoldState.HELD]
    if not holds:
        return
    ledgers = await open_ledgers(tx, heads, [(hold.tenant_id, hold.leg(0)) for hold in holds])
    for hold in holds:
        ledgers[hold.tenant_id].account(hold.leg(0)).held_minor -= hold.amount_minor
    await _save(tx, ledgers, [hold.ended(HoldState.EXPIRED, tx.now) for hold in holds])


async def _save(tx: Tx, ledgers: dict[UUID, Ledger], holds: Sequence[Hold]) -> None:
    """What accounts hold back first: it is written before anything leaves them."""
    if not holds:
        return
    tx.stage(fact_of(hold) for hold in holds)
    await store.upsert_holds(tx, holds)
    places = {
        (hold.tenant_id, leg.address or own_address(leg.account), leg.asset)
        for hold in holds
        for leg in (hold.leg(0),)
    }
    await store.update_held(
        tx,
        [
            (tenant, address, asset, ledgers[tenant].accounts[address, asset].held_minor)
            for tenant, address, asset in sorted(places)
        ],
    )
    failpoint("ledger.held")
