"""Record how attempts ended: one transaction for all that are finished."""

import random
from collections.abc import Sequence
from uuid import UUID

from invoiceos_contracts.notification_v1 import WebhookDelivered, WebhookEndpointDisabled
from messaging import Tx
from notification.domain.deliveries import (
    JITTER_PERMILLE,
    Health,
    Outcome,
    Schedule,
    State,
    Verdict,
    follow,
    judge,
)
from notification.store import deliveries as store


async def record_deliveries(tx: Tx, outcomes: Sequence[Outcome], schedule: Schedule) -> None:
    """Log the attempts, move the deliveries on, and see how their endpoints do.

    An outcome that comes after its lease ended and another process took over is logged, and
    changes nothing else.
    """
    verdicts = [(outcome, judge(outcome, schedule, _jitter())) for outcome in outcomes]
    health = await store.lock_health(
        tx, sorted({(o.claim.tenant_id, o.claim.endpoint_id) for o in outcomes})
    )
    await store.insert_attempts(tx, outcomes)
    moved = await store.update_deliveries(tx, verdicts)
    changed = _followed(health, verdicts, schedule)
    if changed:
        await store.update_health(tx, changed)
    tx.stage(
        (_delivered(outcome), outcome.claim.event_id)
        for outcome, verdict in verdicts
        if verdict.state is State.SUCCEEDED and outcome.claim.delivery_id in moved
    )
    tx.stage(_disabled(one, outcomes) for one in changed if not one.enabled)


def _jitter() -> int:
    return random.randint(-JITTER_PERMILLE, JITTER_PERMILLE)  # noqa: S311 - spreads load


def _followed(
    health: Sequence[Health], verdicts: Sequence[tuple[Outcome, Verdict]], schedule: Schedule
) -> list[Health]:
    by_endpoint: dict[UUID, list[tuple[Outcome, Verdict]]] = {}
    for outcome, verdict in verdicts:
        by_endpoint.setdefault(outcome.claim.endpoint_id, []).append((outcome, verdict))
    after_s = schedule.disable_after_s
    pairs = [(one, follow(one, by_endpoint[one.endpoint_id], after_s)) for one in health]
    return [after for before, after in pairs if after != before]


def _delivered(outcome: Outcome) -> WebhookDelivered:
    claim = outcome.claim
    assert outcome.answer.status_code is not None
    return WebhookDelivered(
        tenant_id=claim.tenant_id,
        delivery_id=claim.delivery_id,
        endpoint_id=claim.endpoint_id,
        invoice_id=claim.invoice_id,
        delivered_event_id=claim.event_id,
        attempt=claim.attempt,
        status_code=outcome.answer.status_code,
    )


def _disabled(health: Health, outcomes: Sequence[Outcome]) -> WebhookEndpointDisabled:
    return WebhookEndpointDisabled(
        tenant_id=health.tenant_id,
        endpoint_id=health.endpoint_id,
        since=health.failing_since or outcomes[-1].at,
        reason=health.disabled_reason or "failing",
    )
