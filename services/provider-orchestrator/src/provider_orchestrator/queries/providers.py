"""How the providers are, and how they were."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts.base import Health
from messaging import Tx
from provider_orchestrator.domain.health import EVERY, STANDARD
from provider_orchestrator.domain.transfers import PROVIDER


class ProviderHealthView(BaseModel):
    """How a provider is on a rail, in one currency or in every one."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    provider: str
    rail: str
    currency: str | None
    """Null where this is the rail as a whole."""
    state: Health
    held: bool
    """Open until an operator resets it: our credentials were refused."""
    score_ppm: int
    """Smoothed share of good answers, parts per million."""
    samples: int
    n_eff: int
    """How many observations the score really rests on."""
    acceptance_ppm: int
    """Smoothed share of what was not declined; a decline says nothing of the provider's health."""
    cause: str | None
    """Why the circuit is as it is; null where it never changed."""
    p50_ms: float | None
    """Median time to answer of the last 100 observations."""
    p95_ms: float | None
    observed_at: datetime | None
    open_until: datetime | None
    head_block: int | None
    """Newest block of the chain when it was last read; null where there is no chain."""
    cursor_lag: int | None
    """Blocks that are known and not yet read."""
    unmatched_transfers: int
    """Transfers to addresses that no wallet has been named for."""
    unmatched_transfers_old: int
    """Those of them that have waited too long."""


class ProvidersHealthView(BaseModel):
    """Every provider there is."""

    items: Sequence[ProviderHealthView]


class HealthChangeView(BaseModel):
    """A circuit went from one state to another."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    provider: str
    rail: str
    currency: str | None
    old: Health
    new: Health
    score_ppm: int
    """Afterwards."""
    samples: int
    n_eff: int
    cause: str
    at: datetime


async def providers_health(
    tx: Tx, chain_id: int, unmatched_after_s: int
) -> list[ProviderHealthView]:
    """How each provider is; what is said of the chain is Tempo's."""
    rows = await tx.fetch(_HEALTH, chain_id, unmatched_after_s, PROVIDER)
    return [
        ProviderHealthView(
            **_common(row),
            state=row["state"],
            held=row["held"],
            acceptance_ppm=row["acceptance_ppm"],
            p50_ms=_ms(row["p50_us"]),
            p95_ms=_ms(row["p95_us"]),
            observed_at=row["observed_at"],
            open_until=row["open_until"],
            head_block=row["head_number"],
            cursor_lag=row["lag"],
            unmatched_transfers=row["unmatched"],
            unmatched_transfers_old=row["unmatched_old"],
        )
        for row in rows
    ]


async def health_changes(
    tx: Tx, *, provider: str | None, rail: str | None, after: UUID | None, limit: int
) -> list[tuple[UUID, HealthChangeView]]:
    """What the circuits did, the newest first, and the places in the list."""
    rows = await tx.fetch(_CHANGES, provider, rail, after, limit)
    return [
        (
            row["id"],
            HealthChangeView(**_common(row), old=row["old"], new=row["new"], at=row["at"]),
        )
        for row in rows
    ]


def _common(row: Any) -> dict[str, Any]:
    return {
        "provider": row["provider"],
        "rail": row["rail"],
        "currency": None if row["currency"] == EVERY else row["currency"],
        "score_ppm": row["score_ppm"],
        "samples": row["samples"],
        "n_eff": min(row["samples"], STANDARD.samples_effective_max),
        "cause": row["cause"],
    }


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


_HEALTH = """
select h.provider, h.rail, h.currency, h.state, h.held, h.score_ppm, h.samples, h.acceptance_ppm,
       h.observed_at, h.open_until, c.head_number, c.head_number - c.number as lag,
       l.p50_us, l.p95_us, u.unmatched, u.unmatched_old,
       (select cause from provider_health_change as d where d.provider_id = h.provider_id
        order by id desc limit 1) as cause
from provider_health as h
left join chain_cursor as c on c.chain_id = $1 and h.provider = $3
cross join lateral (
    select percentile_disc(0.5) within group (order by latency_us) as p50_us,
           percentile_disc(0.95) within group (order by latency_us) as p95_us
    from (select latency_us from provider_health_observation as o
          where o.provider_id = h.provider_id order by id desc limit 100) as last
) as l
cross join lateral (
    select count(*) as unmatched,
           count(*) filter (where found_at < now() - make_interval(secs => $2)) as unmatched_old
    from unmatched_transfer where chain_id = $1 and h.provider = $3
) as u
order by h.provider, h.rail, h.currency
"""
_CHANGES = """
select c.id, h.provider, h.rail, h.currency, c.old, c.new, c.score_ppm, c.samples, c.cause, c.at
from provider_health_change as c
join provider_health as h using (provider_id)
where ($1::text is null or h.provider = $1) and ($2::text is null or h.rail = $2)
  and ($3::uuid is null or c.id < $3)
order by c.id desc limit $4
"""
