"""Take up what is to be sent or asked after, before anybody is called."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from invoiceos_contracts import Event
from messaging import Tx
from provider_orchestrator.commands.end_disbursements import save_ended
from provider_orchestrator.commands.route_payments import RouteRequest, route_payments
from provider_orchestrator.domain.adapters import Order
from provider_orchestrator.domain.destinations import ALSO_CALLED
from provider_orchestrator.domain.disbursements import (
    Disbursement,
    State,
    interrupted,
    queued,
    sent,
    unroutable,
)
from provider_orchestrator.domain.routing import (
    CHANCE_MAX,
    Capabilities,
    Operation,
    Reason,
    Routable,
)
from provider_orchestrator.store import approvals, disbursements
from provider_orchestrator.store.routing import Decided

AT_ONCE = 50
ACTOR = "payouts"
Prepare = Callable[[str, Sequence[Order], datetime], Sequence[bytes | None]]
"""What the adapter of this name has to have stored before the first call of each order."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One order, ours until its lease ends."""

    disbursement: Disbursement
    send: bool
    """To be sent; else it may have been sent, and is asked after."""


async def claim_disbursements(
    tx: Tx, catalogue: Sequence[Capabilities], prepare: Prepare, limit: int = AT_ONCE
) -> list[Claimed]:
    """Route payouts, store what is about to be sent, and say so; then nobody else takes them.

    What somebody died over comes up again when its lease ends, as something to ask after.
    """
    due = await disbursements.lock_due(tx, limit)
    if not due:
        return []
    fresh = [one for one in due if one.state is State.READY]
    keys = [(one.tenant_id, one.batch_id) for one in fresh if one.batch_id is not None]
    # The one place that has lines before their batch: whoever holds a batch never waits for lines
    # that are ready, for those are skipped here and left alone there.
    batches = await approvals.lock_batches(tx, keys) if keys else {}
    routed = await _routed(tx, fresh, catalogue)
    going = [one for one in routed if one.provider is not None and not one.is_ended]
    steps = dict(zip([one.id for one in going], _sent(going, prepare, tx.now), strict=True))
    after = [steps[one.id][0] if one.id in steps else one for one in routed]
    asked = [interrupted(one, tx.now) for one in due if one.state is not State.READY]
    by_id = {one.id: one for one in due}
    await save_ended(
        tx, [(by_id[one.id], one) for one in [*after, *(a for a, _ in asked)]], batches
    )
    tx.stage(fact for _, facts in (*steps.values(), *asked) for fact in facts)
    return [
        *(Claimed(one, send=True) for one in after if one.state is State.SENT),
        *(Claimed(one, send=False) for one, _ in asked),
    ]


def _sent(
    going: Sequence[Disbursement], prepare: Prepare, now: datetime
) -> list[tuple[Disbursement, list[Event]]]:
    made: dict[object, bytes | None] = {}
    for name in {one.provider for one in going}:
        orders = [one.order for one in going if one.provider == name]
        made |= dict(zip([o.id for o in orders], prepare(name or "", orders, now), strict=True))
    return [sent(one, made[one.id], now) for one in going]


async def _routed(
    tx: Tx, fresh: Sequence[Disbursement], catalogue: Sequence[Capabilities]
) -> list[Disbursement]:
    """Each with its provider: a refund goes where the money came in, a payout where it was sent
    before, and else where the rules and the health of this moment send it.
    """
    open_ones = [one for one in fresh if one.provider is None]
    requests = [_route(one, catalogue) for one in open_ones]
    decided = await route_payments(tx, requests) if requests else []
    chosen = dict(zip([one.id for one in open_ones], decided, strict=True))
    after = []
    for one in fresh:
        if one.id not in chosen:
            after.append(one)
            continue
        placed, facts = _placed(one, chosen[one.id], tx.now)
        tx.stage(facts)
        after.append(placed)
    return after


def _route(one: Disbursement, catalogue: Sequence[Capabilities]) -> RouteRequest:
    return RouteRequest(
        tenant_id=one.tenant_id,
        purpose="payment",
        routable=Routable(
            operation=Operation.PAYOUT, amount_minor=one.amount_minor, asset=one.asset
        ),
        catalogue=[can for can in catalogue if can.rail == ALSO_CALLED.get(one.rail, one.rail)],
        chance=random.randrange(CHANCE_MAX),  # noqa: S311 - money that goes out is not gambled with
        actor=ACTOR,
    )


def _placed(
    one: Disbursement, decided: Decided, now: datetime
) -> tuple[Disbursement, Sequence[Event]]:
    decision = decided.decision
    if decision.chosen is not None:
        provider = decision.chosen.partition("/")[0]
        return replace(one, provider=provider, decision_id=decided.id), []
    if decision.reason is Reason.QUEUED:
        return queued(one, now), []
    return unroutable(one)
