"""What providers paid out to our bank, and whose it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.provider_payouts import (
    Holdings,
    Part,
    PayoutState,
    ProviderPayout,
)


async def claim_listings(
    tx: Tx, providers: Sequence[str], lease: timedelta
) -> list[tuple[str, datetime]]:
    """Providers whose payouts are to be listed now, each with the time it came up at."""
    await tx.execute(
        """
        insert into provider_payout_listing (provider, due_at)
        select provider, $2 from unnest($1::text[]) as p(provider) order by provider
        on conflict do nothing
        """,
        sorted(providers),
        tx.now,
    )
    rows = await tx.fetch(
        """
        with due as materialized (
            select provider from provider_payout_listing
            where provider = any($1::text[]) and due_at <= $2
              and (leased_until is null or leased_until <= $2)
            order by provider for update skip locked)
        update provider_payout_listing as l set leased_until = $2 + $3::interval
        from due where l.provider = due.provider
        returning l.provider, l.due_at
        """,
        list(providers),
        tx.now,
        lease,
    )
    return [(row["provider"], row["due_at"]) for row in rows]


async def hasten_listings(tx: Tx, providers: Sequence[str]) -> None:
    """Have the payouts of these providers listed now."""
    await tx.execute(
        """
        insert into provider_payout_listing as l (provider, due_at)
        select provider, $2 from unnest($1::text[]) as p(provider) order by provider
        on conflict (provider) do update set due_at = excluded.due_at
        """,
        sorted(set(providers)),
        tx.now,
    )


async def lock_listing(tx: Tx, provider: str) -> None:
    """Have this provider's payouts to ourselves."""
    await tx.execute(
        "select provider from provider_payout_listing where provider = $1 for update", provider
    )


async def end_listing(tx: Tx, listing: tuple[str, datetime], due_at: datetime) -> None:
    """List again then, unless somebody wants it sooner."""
    await tx.execute(
        """
        update provider_payout_listing
        set due_at = case when due_at = $2 then $3 else due_at end, leased_until = null
        where provider = $1
        """,
        *listing,
        due_at,
    )


async def select_payouts(
    tx: Tx, provider: str, references: Sequence[str]
) -> dict[str, ProviderPayout]:
    """Payouts that are known, with their parts, by the provider's name."""
    rows = await tx.fetch(
        """
        select provider, reference, asset, amount_minor, unassigned_minor, state, arrives_at, cause
        from provider_payout where provider = $1 and reference = any($2::text[])
        """,
        provider,
        list(references),
    )
    shares = await tx.fetch(
        """
        select reference, tenant_id, id, amount_minor from provider_payout_share
        where provider = $1 and reference = any($2::text[]) order by tenant_id
        """,
        provider,
        list(references),
    )
    parts: dict[str, list[Part]] = {}
    for row in shares:
        part = Part(row["tenant_id"], row["id"], row["amount_minor"])
        parts.setdefault(row["reference"], []).append(part)
    return {
        row["reference"]: ProviderPayout(
            **{
                **row,
                "state": PayoutState(row["state"]),
                "parts": tuple(parts.get(row["reference"], ())),
            }
        )
        for row in rows
    }


async def select_holdings(tx: Tx, provider: str, asset: str) -> dict[UUID, Holdings]:
    """What each tenant has at a provider: collected, less fees, what went back and payouts."""
    rows = await tx.fetch(
        """
        with collected as (
            select tenant_id, available_at is not null as released,
                   sum(amount_minor - given_back_minor - coalesce(fee_minor, 0)) as minor
            from payment
            where provider = $1 and asset = $2 and attempt_id is not null and state = 'succeeded'
            group by 1, 2
        ), kept as (
            select d.tenant_id, sum(d.fee_minor) as minor from dispute as d
            where d.provider = $1 and d.asset = $2 and d.state <> 'won' group by 1
        ), paid_out as (
            select s.tenant_id, sum(s.amount_minor) as minor from provider_payout_share as s
            join provider_payout as p using (provider, reference)
            where s.provider = $1 and s.asset = $2 and p.state <> 'failed' group by 1
        )
        select c.tenant_id,
               (coalesce(sum(c.minor) filter (where c.released), 0)
                - coalesce(max(k.minor), 0) - coalesce(max(o.minor), 0))::bigint as released,
               coalesce(sum(c.minor) filter (where not c.released), 0)::bigint as held
        from collected as c
        left join kept as k using (tenant_id) left join paid_out as o using (tenant_id)
        group by c.tenant_id
        """,
        provider,
        asset,
    )
    return {row["tenant_id"]: Holdings(row["released"], row["held"]) for row in rows}


async def insert_payouts(tx: Tx, payouts: Sequence[ProviderPayout]) -> None:
    """Keep payouts that are new, with their parts; the database refuses one that is not."""
    await tx.execute(
        """
        insert into provider_payout (provider, reference, asset, amount_minor, unassigned_minor,
                                     state, arrives_at, cause, first_seen_at, updated_at)
        select provider, reference, asset, amount_minor, unassigned_minor, state, arrives_at, cause,
               $9, $9
        from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                    $7::timestamptz[], $8::text[])
            as p(provider, reference, asset, amount_minor, unassigned_minor, state, arrives_at,
                 cause)
        """,
        [one.provider for one in payouts],
        [one.reference for one in payouts],
        [one.asset for one in payouts],
        [one.amount_minor for one in payouts],
        [one.unassigned_minor for one in payouts],
        [one.state for one in payouts],
        [one.arrives_at for one in payouts],
        [one.cause for one in payouts],
        tx.now,
    )
    parts = [(payout, part) for payout in payouts for part in payout.parts]
    await tx.execute(
        """
        insert into provider_payout_share (tenant_id, id, provider, reference, asset, amount_minor)
        select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                             $6::bigint[])
        """,
        [part.tenant_id for _, part in parts],
        [part.id for _, part in parts],
        [payout.provider for payout, _ in parts],
        [payout.reference for payout, _ in parts],
        [payout.asset for payout, _ in parts],
        [part.amount_minor for _, part in parts],
    )


async def save_payouts(tx: Tx, payouts: Sequence[ProviderPayout]) -> None:
    """Write how far payouts have come."""
    await tx.execute(
        """
        update provider_payout as p
        set state = n.state, arrives_at = n.arrives_at, cause = n.cause, updated_at = $6
        from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
            as n(provider, reference, state, arrives_at, cause)
        where p.provider = n.provider and p.reference = n.reference
        """,
        [one.provider for one in payouts],
        [one.reference for one in payouts],
        [one.state for one in payouts],
        [one.arrives_at for one in payouts],
        [one.cause for one in payouts],
        tx.now,
    )
