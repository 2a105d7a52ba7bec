"""How the providers are, and the balances that were asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from invoiceos_contracts.base import HealthState
from messaging import Database, Tx
from provider_orchestrator.domain.health import EVERY, Change, Health, Key, Observation

OBSERVATIONS_KEPT = 1000
CHANGES_KEPT = 1000
"""Of each key, the newest."""
INT_MAX = 2**31 - 1


def id_of(key: Key) -> UUID:
    """The id under which a key's health is kept and stated; the same everywhere, for ever."""
    parts = [key.provider]
    if key.rail != key.provider or key.currency != EVERY:
        parts.append(key.rail)
    if key.currency != EVERY:
        parts.append(key.currency)
    return uuid5(NAMESPACE_URL, "https://invoiceos.dev/provider/" + "/".join(parts))


@dataclass(frozen=True, slots=True)
class BalanceRequest:
    """Somebody wants to know what a wallet holds."""

    tenant_id: UUID
    event_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    chain_id: int
    address: str
    rail: str


async def insert_health(tx: Tx, keys: Sequence[Key]) -> None:
    """Begin to watch these, unless they are watched."""
    start = Health()
    await tx.execute(
        """
        insert into provider_health (provider_id, provider, rail, currency, state, score_ppm,
                                     samples, failures, successes, openings)
        select provider_id, provider, rail, currency, $5, $6, 0, 0, 0, 0
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
            as k(provider_id, provider, rail, currency)
        on conflict (provider_id) do nothing
        """,
        [id_of(key) for key in keys],
        [key.provider for key in keys],
        [key.rail for key in keys],
        [key.currency for key in keys],
        start.state,
        start.score_ppm,
    )


async def lock_health(tx: Tx, keys: Sequence[Key]) -> dict[Key, Health]:
    """What is known of these, locked in one order; without those that nobody watches."""
    rows = await tx.fetch(
        f"""
        select {_HEALTH} from provider_health
        where provider_id = any($1::uuid[]) order by provider_id for update
        """,
        [id_of(key) for key in keys],
    )
    return {_key(row): _health(row) for row in rows}


async def select_health(tx: Tx) -> dict[Key, Health]:
    """What is known of all."""
    rows = await tx.fetch(f"select {_HEALTH} from provider_health")
    return {_key(row): _health(row) for row in rows}


_HEALTH = """
    provider, rail, currency, state, score_ppm, samples, failures, successes, openings,
    open_until, observed_at, held, p95_us, acceptance_ppm
"""


def _key(row: Any) -> Key:
    return Key(row["provider"], row["rail"], row["currency"])


def _health(row: Any) -> Health:
    known = {name: value for name, value in row.items() if name not in Key.__slots__}
    return Health(**{**known, "state": HealthState(row["state"])})


async def update_health(tx: Tx, known: Mapping[Key, Health]) -> None:
    """Write what is known of these."""
    found = [(id_of(key), health) for key, health in known.items()]
    await tx.execute(
        """
        update provider_health as h
        set state = n.state, score_ppm = n.score_ppm, samples = n.samples, failures = n.failures,
            successes = n.successes, openings = n.openings, open_until = n.open_until,
            observed_at = n.observed_at, held = n.held, p95_us = n.p95_us,
            acceptance_ppm = n.acceptance_ppm
        from unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::int[], $6::int[],
                    $7::int[], $8::timestamptz[], $9::timestamptz[], $10::bool[], $11::int[],
                    $12::int[])
            as n(provider_id, state, score_ppm, samples, failures, successes, openings, open_until,
                 observed_at, held, p95_us, acceptance_ppm)
        where h.provider_id = n.provider_id
        """,
        [provider_id for provider_id, _ in found],
        [health.state for _, health in found],
        [health.score_ppm for _, health in found],
        [health.samples for _, health in found],
        [health.failures for _, health in found],
        [health.successes for _, health in found],
        [health.openings for _, health in found],
        [health.open_until for _, health in found],
        [health.observed_at for _, health in found],
        [health.held for _, health in found],
        [None if health.p95_us is None else min(health.p95_us, INT_MAX) for _, health in found],
        [health.acceptance_ppm for _, health in found],
    )


async def insert_changes(tx: Tx, changes: Sequence[tuple[Key, Change]]) -> None:
    """Add what the circuits did to their history."""
    await tx.execute(
        """
        insert into provider_health_change (id, provider_id, at, old, new, score_ppm, samples,
                                            cause)
        select id, provider_id, at, old, new, score_ppm, samples, cause
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::int[],
                    $7::bigint[], $8::text[])
            as c(id, provider_id, at, old, new, score_ppm, samples, cause)
        """,
        [tx.new_id() for _ in changes],
        [id_of(key) for key, _ in changes],
        [change.at for _, change in changes],
        [change.old for _, change in changes],
        [change.after.state for _, change in changes],
        [change.after.score_ppm for _, change in changes],
        [change.after.samples for _, change in changes],
        [change.cause for _, change in changes],
    )


async def trim_changes(tx: Tx, keys: Sequence[Key]) -> None:
    """Cut the histories of these to their length."""
    await tx.execute(
        """
        delete from provider_health_change as c using unnest($1::uuid[]) as k(provider_id)
        where c.provider_id = k.provider_id and c.id <= (
            select id from provider_health_change as o where o.provider_id = k.provider_id
            order by id desc offset $2 limit 1)
        """,
        [id_of(key) for key in keys],
        CHANGES_KEPT,
    )


async def insert_observations(tx: Tx, key: Key, seen: Sequence[Observation]) -> None:
    """Keep the last observations of a key, for percentiles."""
    provider_id = id_of(key)
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
        [min(one.latency_us, INT_MAX) for one in seen],
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
        insert into balance_request (tenant_id, event_id, wallet_id, invoice_id, chain_id, address,
                                     rail)
        select tenant_id, event_id, wallet_id, invoice_id, chain_id, address, rail
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[],
                    $7::text[])
            as b(tenant_id, event_id, wallet_id, invoice_id, chain_id, address, rail)
        on conflict (tenant_id, event_id) do nothing
        """,
        [one.tenant_id for one in requests],
        [one.event_id for one in requests],
        [one.wallet_id for one in requests],
        [one.invoice_id for one in requests],
        [one.chain_id for one in requests],
        [one.address for one in requests],
        [one.rail for one in requests],
    )


async def select_balance_requests(
    database: Database, chain_id: int, limit: int
) -> list[BalanceRequest]:
    """The oldest questions that have no answer."""
    rows = await database.fetch(
        """
        select tenant_id, event_id, wallet_id, invoice_id, chain_id, address, rail
        from balance_request
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
