"""Records each fact it gets, states one in turn, and misbehaves when a fact's name says so."""

import asyncio
import os
from collections.abc import Sequence

from chassis.runtime import Service
from chassis.settings import Settings
from invoiceos_contracts.identity_v1 import ApiKeyRevoked, TenantCreated
from messaging import Batch, Timer, Tx, consumes


class Poison(Exception):
    """What a handler with a bug would raise."""


async def record(tx: Tx, names: Batch[TenantCreated]) -> None:
    """Store one effect for each event; `poison` raises, `slow` takes a second."""
    for event in names:
        if event.fact.name.startswith("poison"):
            raise Poison(event.fact.name)
    if any(event.fact.name.startswith("slow") for event in names):
        await asyncio.sleep(1)
    await tx.execute(
        """
        insert into effect (tenant_id, name, event_id, handled_by)
        select tenant_id, name, event_id, $4 from unnest($1::uuid[], $2::text[], $3::uuid[])
            with ordinality as e(tenant_id, name, event_id, place) order by place
        """,
        [event.tenant_id for event in names],
        [event.fact.name for event in names],
        [event.id for event in names],
        str(os.getpid()),
    )
    tx.stage(
        (
            ApiKeyRevoked(tenant_id=event.tenant_id, api_key_id=event.id, prefix=event.fact.name),
            event.id,
        )
        for event in names
    )


@consumes(TenantCreated)
async def on_tenant_created(tx: Tx, events: Batch[TenantCreated]) -> None:
    """Record them."""
    await record(tx, events)


async def on_chime(tx: Tx, timers: Sequence[Timer]) -> None:
    """Record that timers fired; `poison` raises."""
    for timer in timers:
        if timer.ref.startswith("poison"):
            raise Poison(timer.ref)
    await tx.execute(
        """
        insert into effect (tenant_id, name, event_id, handled_by)
        select tenant_id, name, gen_random_uuid(), 'timer'
        from unnest($1::uuid[], $2::text[]) as t(tenant_id, name)
        """,
        [timer.tenant_id for timer in timers],
        [timer.ref for timer in timers],
    )


service = Service(
    name="toy_service",
    group=os.environ.get("TOY_GROUP", ""),
    settings=Settings,
    subscriptions=[on_tenant_created],
    timers={"chime": on_chime},
)
