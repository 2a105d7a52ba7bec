"""The life of an ephemeral wallet: which steps there are, what each states, when it wakes again.

On a forwarding rail (all there are today) draining has nothing to move, so a wallet passes
through `draining` and `drained` to `watching` in one transaction, stating each step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from ephemeral_manager.errors import IllegalTransition
from invoiceos_contracts import Event
from invoiceos_contracts.ephemeral_v1 import (
    EphemeralWalletActivated,
    EphemeralWalletDrained,
    EphemeralWalletDraining,
    EphemeralWalletExpired,
    EphemeralWalletExtended,
    EphemeralWalletWatching,
    Guard,
)
from invoiceos_contracts.invoice_v1 import InvoiceIssued

RESTARTS_MAX = 5
"""Late money restarts the watch window this often in a life, then never again."""
PAID, VOIDED, TTL_OVER = "invoice_paid", "invoice_voided", "ttl_over"


class State(StrEnum):
    """Where a wallet stands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    DRAINING = "draining"
    DRAINED = "drained"
    WATCHING = "watching"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.ACTIVE: frozenset({State.EXPIRED, State.DRAINING}),
    # Back to active by an extension, before anything was moved.
    State.EXPIRED: frozenset({State.ACTIVE, State.DRAINING}),
    State.DRAINING: frozenset({State.DRAINED}),
    State.DRAINED: frozenset({State.WATCHING}),
    # To itself when late money restarts the window; to active or expired when the payment that
    # settled the invoice is taken back.
    State.WATCHING: frozenset({State.WATCHING, State.ACTIVE, State.EXPIRED, State.DESTROYING}),
    # To itself when it has to be asked for again; never back to active.
    State.DESTROYING: frozenset({State.DESTROYING, State.DESTROYED}),
    State.DESTROYED: frozenset(),
}


class Wake(StrEnum):
    """Why a wallet wakes: kinds of its timers."""

    TTL = "wallet.ttl"
    WATCH = "wallet.watch"
    DESTROY = "wallet.destroy"


@dataclass(frozen=True, slots=True)
class Alarm:
    """When to wake, and what was the case when the alarm was set."""

    kind: Wake
    due_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closure:
    """A stretch of time in which the wallet expected no money."""

    at: datetime
    """When it began by the clock of the fact that caused it, not by when we heard of it."""
    reason: str
    booking_id: UUID | None = None
    """The booking that settled the invoice, where that was the reason."""
    until: datetime | None = None
    """When the settling payment was taken back; None while the stretch lasts."""

    def covers(self, moment: datetime) -> bool:
        """Whether money announced at this moment came inside the stretch."""
        return self.at < moment and (self.until is None or moment <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """An ephemeral wallet."""

    tenant_id: UUID
    id: UUID
    invoice_id: UUID
    rail: str
    chain_id: int | None
    address: str
    state: State
    expires_at: datetime
    watch_window_s: int
    watch_until: datetime | None = None
    restarts: int = 0
    settled: bool = False
    closures: tuple[Closure, ...] = ()
    legal_hold_reason: str | None = None
    guard: Guard | None = None
    asked: int = 0
    """How often the holders of its secrets were asked to destroy them."""
    created_at: datetime
    drained_at: datetime | None = None
    destroying_at: datetime | None = None
    destroyed_at: datetime | None = None
    version: int = 1

    @property
    def closure(self) -> Closure | None:
        """The stretch that lasts, if one does."""
        last = self.closures[-1] if self.closures else None
        return last if last is not None and last.until is None else None

    @property
    def names(self) -> dict[str, UUID]:
        """What every fact about this wallet begins with."""
        return {
            "tenant_id": self.tenant_id,
            "wallet_id": self.id,
            "invoice_id": self.invoice_id,
        }

    def go(self, state: State, **changes: Any) -> "Wallet":
        """The wallet in its next state; raises `IllegalTransition` for a step there is not."""
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(
                f"A wallet that is {self.state} cannot become {state}", state=self.state.value
            )
        return replace(self, state=state, **changes)


@dataclass(frozen=True, slots=True)
class Step:
    """A wallet after a decision, the facts this made true, and when to look again."""

    wallet: Wallet
    facts: tuple[Event, ...] = ()
    alarms: tuple[Alarm, ...] = ()

    def then(self, following: "Step") -> "Step":
        """Both: this step, and one that was decided on its result."""
        return Step(following.wallet, self.facts + following.facts, self.alarms + following.alarms)


def ttl_alarm(wallet: Wallet) -> Alarm:
    """Wake at the end of the time to live."""
    return Alarm(Wake.TTL, wallet.expires_at, {"until": wallet.expires_at.isoformat()})


def watch_alarm(wallet: Wallet, due_at: datetime | None = None, attempt: int = 0) -> Alarm:
    """Wake at the end of the watch window, or at a later try of the guard."""
    assert wallet.watch_until is not None
    payload = {"until": wallet.watch_until.isoformat(), "attempt": attempt}
    return Alarm(Wake.WATCH, due_at or wallet.watch_until, payload)


def activate(issued: InvoiceIssued) -> Step:
    """The invoice is open: the time to live begins."""
    wallet = Wallet(
        tenant_id=issued.tenant_id,
        id=issued.wallet_id,
        invoice_id=issued.invoice_id,
        rail=issued.rail,
        chain_id=issued.chain_id,
        address=issued.address,
        state=State.ACTIVE,
        expires_at=issued.expires_at,
        watch_window_s=issued.watch_window_s,
        created_at=issued.issued_at,
    )
    return _activated(wallet)


def _activated(wallet: Wallet) -> Step:
    fact = EphemeralWalletActivated(
        **wallet.names, until=wallet.expires_at, watch_window_s=wallet.watch_window_s
    )
    return Step(wallet, (fact,), (ttl_alarm(wallet),))


def expire(wallet: Wallet, now: datetime) -> Step:
    """The time to live is over; a wallet that is closed already is left alone."""
    if wallet.state is not State.ACTIVE:
        return Step(wallet)
    return _expire(wallet, now)


def _expire(wallet: Wallet, now: datetime) -> Step:
    expired = wallet.go(State.EXPIRED)
    fact = EphemeralWalletExpired(**wallet.names, since=wallet.expires_at)
    closure = Closure(wallet.expires_at, TTL_OVER)
    return Step(expired, (fact,)).then(_drain(expired, closure, now))


def settle(wallet: Wallet, booking_id: UUID, at: datetime, now: datetime) -> Step:
    """The invoice is paid: `at` is when that was stated."""
    if wallet.settled:
        return Step(wallet)
    return _close(replace(wallet, settled=True), Closure(at, PAID, booking_id), now)


def void(wallet: Wallet, at: datetime, now: datetime) -> Step:
    """The invoice was called off."""
    return _close(wallet, Closure(at, VOIDED), now)


def _close(wallet: Wallet, closure: Closure, now: datetime) -> Step:
    """Close, whatever was heard first: of two reasons the earlier one counts in the end."""
    begun = Step(wallet)
    if wallet.state is State.ACTIVE and closure.at >= wallet.expires_at:
        begun = _expire(wallet, now)
    open_closure = begun.wallet.closure
    if open_closure is None:
        return _drain(wallet, closure, now)
    earliest = min(open_closure, closure, key=lambda item: (item.at, item.reason))
    closures = (*begun.wallet.closures[:-1], earliest)
    return begun.then(Step(replace(begun.wallet, closures=closures)))


def _drain(wallet: Wallet, closure: Closure, now: datetime) -> Step:
    draining = wallet.go(State.DRAINING, closures=(*wallet.closures, closure))
    drained = draining.go(State.DRAINED, drained_at=now)
    until = now + timedelta(seconds=wallet.watch_window_s)
    watching = drained.go(State.WATCHING, watch_until=until)
    facts = (
        EphemeralWalletDraining(**wallet.names, reason=closure.reason),
        EphemeralWalletDrained(**wallet.names, reason=closure.reason),
        EphemeralWalletWatching(**wallet.names, until=until),
    )
    return Step(watching, facts, (watch_alarm(watching),))


def unsettle(wallet: Wallet, at: datetime, now: datetime) -> Step:
    """The payment that settled the invoice was taken back: live on, if there is time left.

    A wallet whose destruction has begun never comes back; its address forwards all the same, and
    what comes is booked as late money.
    """
    if not wallet.settled:
        return Step(wallet)
    wallet = replace(wallet, settled=False)
    closure = wallet.closure
    if wallet.state is not State.WATCHING or closure is None or closure.reason != PAID:
        return Step(wallet)
    ended = replace(wallet, closures=(*wallet.closures[:-1], replace(closure, until=at)))
    if at >= wallet.expires_at:
        return _expire(ended, now)
    return _activated(ended.go(State.ACTIVE, watch_until=None, drained_at=None))


def restart_window(wallet: Wallet, now: datetime) -> Step:
    """Late money was booked: watch a whole window more, at most so often in a life."""
    if wallet.state is not State.WATCHING or wallet.restarts >= RESTARTS_MAX:
        return Step(wallet)
    until = now + timedelta(seconds=wallet.watch_window_s)
    again = wallet.go(State.WATCHING, watch_until=until, restarts=wallet.restarts + 1)
    fact = EphemeralWalletWatching(**wallet.names, until=until)
    return Step(again, (fact,), (watch_alarm(again),))


def extend(wallet: Wallet, until: datetime, by: str) -> Step:
    """A longer time to live; raises `IllegalTransition` once the wallet was closed."""
    if wallet.state is State.EXPIRED:
        wallet = wallet.go(State.ACTIVE)
    if wallet.state is not State.ACTIVE:
        raise IllegalTransition(
            f"A wallet that is {wallet.state} cannot be extended", state=wallet.state.value
        )
    longer = replace(wallet, expires_at=until)
    fact = EphemeralWalletExtended(**wallet.names, until=until, by=by)
    return Step(longer, (fact,), (ttl_alarm(longer),))


def hold(wallet: Wallet, reason: str | None) -> Step:
    """Place a legal hold, or release it with None; raises once destruction has begun."""
    if wallet.state in (State.DESTROYING, State.DESTROYED):
        raise IllegalTransition(
            f"A wallet that is {wallet.state} can no longer be held", state=wallet.state.value
        )
    return Step(replace(wallet, legal_hold_reason=reason))
