"""How the providers are, and the balances that were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from invoiceos_contracts.base import HealthState
from messaging import Database, Tx
from provider_orchestrator.domain.health import Health, Observation

OBSERVATIONS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class BalanceRequest:
    """Somebody wants to know what a wallet holds."""

    tenant_id: UUID
    event_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    chain_id: int
    address: str


async def insert_health(tx: Tx, provider_id: UUID, provider: str, rail: str) -> None:
    """Begin to watch a provider, unless it is watched."""
    start = Health()
    await tx.execute(
        """
        insert into provider_health (provider_id, provider, rail, state, score_ppm, samples,
                                     failures, successes, openings)
        values ($1, $2, $3, $4, $5, 0, 0, 0, 0) on conflict (provider_id) do nothing
        """,
        provider_id,
        provider,
        rail,
        start.state,
        start.score_ppm,
    )


async def lock_health(tx: Tx, provider_id: UUID) -> Health | None:
    """What is known of a provider, locked; None where nobody watches it."""
    row: Any = await tx.fetchrow(
        """
        select state, score_ppm, samples, failures, successes, openings, open_until, observed_at
        from provider_health where provider_id = $1 for update
        """,
        provider_id,
    )
    return Health(**{**row, "state": HealthState(row["state"])}) if row else None


async def update_health(tx: Tx, provider_id: UUID, health: Health) -> None:
    """Write what is known of a provider."""
    await tx.execute(
        """
        update provider_health set state = $2, score_ppm = $3, samples = $4, failures = $5,
               successes = $6, openings = $7, open_until = $8, observed_at = $9
        where provider_id = $1
        """,
        provider_id,
        health.state,
        health.score_ppm,
        health.samples,
        health.failures,
        health.successes,
        health.openings,
        health.open_until,
        health.observed_at,
    )


async def insert_observations(tx: Tx, provider_id: UUID, seen: Sequence[Observation]) -> None:
    """Add to the history, and cut it to its length."""
    await tx.execute(
        """
        insert into provider_health_observation (provider_id, at, outcome, latency_us, cause)
        select $1, at, outcome, latency_us, cause
        from unnest($2::timestamptz[], $3::text[], $4::int[], $5::text[])
            as o(at, outcome, latency_us, cause)
        """,
        provider_id,
        [one.at for one in seen],
        [one.outcome for one in seen],
        [min(one.latency_us, 2**31 - 1) for one in seen],
        [one.cause for one in seen],
    )
    await tx.execute(
        """
        delete from provider_health_observation where provider_id = $1 and id <= (
            select id from provider_health_observation where provider_id = $1
            order by id desc offset $2 limit 1)
        """,
        provider_id,
        OBSERVATIONS_KEPT,
    )


async def insert_balance_requests(tx: Tx, requests: Sequence[BalanceRequest]) -> None:
    """Note that balances are to be read."""
    await tx.execute(
        """
        insert into balance_request (tenant_id, event_id, wallet_id, invoice_id, chain_id, address)
        select tenant_id, event_id, wallet_id, invoice_id, chain_id, address
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[])
            as b(tenant_id, event_id, wallet_id, invoice_id, chain_id, address)
        on conflict (tenant_id, event_id) do nothing
        """,
        [one.tenant_id for one in requests],
        [one.event_id for one in requests],
        [one.wallet_id for one in requests],
        [one.invoice_id for one in requests],
        [one.chain_id for one in requests],
        [one.address for one in requests],
    )


async def select_balance_requests(
    database: Database, chain_id: int, limit: int
) -> list[BalanceRequest]:
    """The oldest questions that have no answer."""
    rows = await database.fetch(
        """
        select tenant_id, event_id, wallet_id, invoice_id, chain_id, address from balance_request
        where chain_id = $1 order by requested_at, event_id limit $2
        """,
        chain_id,
        limit,
    )
    return [BalanceRequest(**row) for row in rows]


async def take_balance_requests(tx: Tx, requests: Sequence[BalanceRequest]) -> set[UUID]:
    """Event ids of the questions that were still open; they are answered with this."""
    rows = await tx.fetch(
        """
        delete from balance_request
        where (tenant_id, event_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        returning event_id
        """,
        [one.tenant_id for one in requests],
        [one.event_id for one in requests],
    )
    return {row["event_id"] for row in rows}
