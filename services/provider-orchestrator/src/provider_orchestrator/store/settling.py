"""Collected money at its provider: when it is looked at, what is known of it, its disputes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.settling import Books, Dispute, DisputeState, Held
from provider_orchestrator.store.webhooks import Kept

Key = tuple[UUID, UUID]
"""Tenant and attempt."""
_DISPUTE = ", ".join(one.name for one in fields(Dispute))


@dataclass(frozen=True, slots=True)
class Due:
    """An attempt whose money is to be looked at."""

    tenant_id: UUID
    attempt_id: UUID
    until: datetime
    """When it comes up again by itself; another time means that somebody wants a look sooner."""
    disputes: tuple[str, ...]
    """The provider's names of those that are not decided."""


async def insert_watches(tx: Tx, attempts: Sequence[tuple[UUID, UUID, str]]) -> None:
    """Look at what these collected, now; each is tenant, attempt and provider."""
    ordered = sorted(set(attempts))
    await tx.execute(
        """
        insert into settlement (tenant_id, attempt_id, provider, due_at, updated_at)
        select tenant_id, attempt_id, provider, $4, $4
        from unnest($1::uuid[], $2::uuid[], $3::text[]) as n(tenant_id, attempt_id, provider)
        on conflict (tenant_id, attempt_id) do update set due_at = $4
        """,
        [tenant for tenant, _, _ in ordered],
        [attempt for _, attempt, _ in ordered],
        [provider for _, _, provider in ordered],
        tx.now,
    )


async def adopt_payments(tx: Tx) -> None:
    """Look at what was collected before anybody looked."""
    await tx.execute(
        """
        insert into settlement (tenant_id, attempt_id, provider, due_at, updated_at)
        select distinct p.tenant_id, p.attempt_id, p.provider, $1::timestamptz, $1 from payment as p
        where p.attempt_id is not null and p.state = 'succeeded'
          and not exists (select from settlement as s
                          where s.tenant_id = p.tenant_id and s.attempt_id = p.attempt_id)
        on conflict do nothing
        """,
        tx.now,
    )


async def claim_watches(tx: Tx, limit: int, lease: timedelta) -> list[Due]:
    """Take what is due; where nobody records it, it comes up again when the lease ends."""
    rows = await tx.fetch(
        """
        with due as materialized (
            select tenant_id, attempt_id from settlement where due_at <= $1
            order by due_at limit $2 for update skip locked)
        update settlement as s set due_at = $1 + $3::interval
        from due where s.tenant_id = due.tenant_id and s.attempt_id = due.attempt_id
        returning s.tenant_id, s.attempt_id, s.due_at,
            array(select distinct d.reference from dispute as d
                  where d.tenant_id = s.tenant_id and d.attempt_id = s.attempt_id
                    and d.state = 'open' order by d.reference) as disputes
        """,
        tx.now,
        limit,
        lease,
    )
    return [
        Due(row["tenant_id"], row["attempt_id"], row["due_at"], tuple(row["disputes"]))
        for row in rows
    ]


async def lock_books(tx: Tx, keys: Sequence[Key]) -> dict[UUID, Books]:
    """What is known of the money of these attempts, locked; none where it is no success."""
    columns = ([tenant for tenant, _ in keys], [attempt for _, attempt in keys])
    watches = await tx.fetch(
        """
        select tenant_id, attempt_id, looks from settlement
        where (tenant_id, attempt_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, attempt_id for update
        """,
        *columns,
    )
    payments = await tx.fetch(
        """
        select tenant_id, id, invoice_id, wallet_id, provider, rail, amount_minor, asset, fee_minor,
               available_at, given_back_minor, attempt_id, position
        from payment
        where (tenant_id, attempt_id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and state = 'succeeded'
        order by tenant_id, id for update
        """,
        *columns,
    )
    disputes = await tx.fetch(
        f"""
        select {_DISPUTE} from dispute
        where (tenant_id, attempt_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id
        """,
        *columns,
    )
    found = {row["attempt_id"]: Books(row["attempt_id"], [], {}, row["looks"]) for row in watches}
    for row in sorted(payments, key=lambda row: row["position"]):
        if row["attempt_id"] in found:
            found[row["attempt_id"]].payments.append(_held(row))
    for row in disputes:
        one = Dispute(**{**row, "state": DisputeState(row["state"])})
        if one.attempt_id in found:
            found[one.attempt_id].disputes[one.payment_id, one.reference] = one
    return {attempt: books for attempt, books in found.items() if books.payments}


def _held(row: Any) -> Held:
    return Held(**{name: row[name] for name in (one.name for one in fields(Held))})


async def save_held(tx: Tx, payments: Sequence[Held]) -> None:
    """Write what is known of payments now."""
    await tx.execute(
        """
        update payment as p set fee_minor = n.fee_minor, available_at = n.available_at,
            given_back_minor = n.given_back_minor, updated_at = $6
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::bigint[])
            as n(tenant_id, id, fee_minor, available_at, given_back_minor)
        where p.tenant_id = n.tenant_id and p.id = n.id
          and (p.fee_minor, p.available_at, p.given_back_minor)
              is distinct from (n.fee_minor, n.available_at, n.given_back_minor)
        """,
        [one.tenant_id for one in payments],
        [one.id for one in payments],
        [one.fee_minor for one in payments],
        [one.available_at for one in payments],
        [one.given_back_minor for one in payments],
        tx.now,
    )


async def insert_disputes(tx: Tx, disputes: Sequence[Dispute]) -> None:
    """Keep disputes that are new; the database refuses a second one of the same name."""
    rows = [tuple(getattr(one, each.name) for each in fields(Dispute)) for one in disputes]
    await tx.execute(
        f"""
        insert into dispute ({_DISPUTE})
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
            $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::text[], $12::timestamptz[],
            $13::text[], $14::timestamptz[], $15::timestamptz[])
        """,
        *[list(column) for column in zip(*rows, strict=True)],
    )


async def close_disputes(tx: Tx, disputes: Sequence[Dispute]) -> None:
    """Write how disputes ended."""
    await tx.execute(
        """
        update dispute as d set state = n.state, closed_at = $4
        from unnest($1::uuid[], $2::uuid[], $3::text[]) as n(tenant_id, id, state)
        where d.tenant_id = n.tenant_id and d.id = n.id
        """,
        [one.tenant_id for one in disputes],
        [one.id for one in disputes],
        [str(one.state) for one in disputes],
        tx.now,
    )


async def save_watches(tx: Tx, watches: Sequence[tuple[Due, Books | None, Sequence[str]]]) -> None:
    """Write when each is looked at next, unless somebody wants that sooner, and its names."""
    await tx.execute(
        """
        update settlement as s
        set due_at = case when s.due_at = n.until then n.due_at else s.due_at end,
            looks = greatest(s.looks, n.looks), updated_at = $7,
            names = array(select distinct name from unnest(
                s.names || string_to_array(n.names, ' ')) as name order by name)
        from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::int[],
                    $6::text[]) as n(tenant_id, attempt_id, until, due_at, looks, names)
        where s.tenant_id = n.tenant_id and s.attempt_id = n.attempt_id
        """,
        [due.tenant_id for due, _, _ in watches],
        [due.attempt_id for due, _, _ in watches],
        [due.until for due, _, _ in watches],
        [None if books is None else books.due_at for _, books, _ in watches],
        [0 if books is None else books.looks for _, books, _ in watches],
        [" ".join(names) for _, _, names in watches],
        tx.now,
    )


async def hasten_watches(tx: Tx, kept: Sequence[Kept]) -> set[tuple[str, str]]:
    """Have the money that webhooks point at looked at now; the webhooks that point at some."""
    rows = await tx.fetch(
        """
        with named as materialized (
            select w.event_id, s.tenant_id, s.attempt_id, s.provider
            from unnest($1::text[], $2::text[], $3::text[]) as w(provider, event_id, hint)
            join settlement as s on s.provider = w.provider and s.names @> array[w.hint]
            union
            select w.event_id, s.tenant_id, s.attempt_id, s.provider
            from unnest($1::text[], $2::text[], $3::text[]) as w(provider, event_id, hint)
            join payment_attempt as a on a.provider = w.provider
                 and (a.provider_reference = w.hint or a.id = case
                      when w.hint ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                      then w.hint::uuid end)
            join settlement as s on s.tenant_id = a.tenant_id and s.attempt_id = a.id
        ), mine as materialized (
            select s.tenant_id, s.attempt_id from settlement as s
            join (select distinct tenant_id, attempt_id from named) as n
                using (tenant_id, attempt_id)
            order by s.tenant_id, s.attempt_id for update of s
        ), hastened as (
            update settlement as s set due_at = $4 from mine
            where s.tenant_id = mine.tenant_id and s.attempt_id = mine.attempt_id
            returning s.attempt_id
        )
        select distinct provider, event_id from named
        """,
        [one.provider for one in kept for _ in one.hints],
        [one.event_id for one in kept for _ in one.hints],
        [hint for one in kept for hint in one.hints],
        tx.now,
    )
    return {(row["provider"], row["event_id"]) for row in rows}


async def hasten_named(tx: Tx, provider: str, disputes: Sequence[tuple[str, str]]) -> int:
    """Have payments looked at whose disputes nobody told us of; how many."""
    status: str = await tx.execute(
        """
        update settlement as s set due_at = $4
        from unnest($2::text[], $3::text[]) as n(dispute, payment)
        where s.provider = $1 and s.names @> array[n.payment]
          and not exists (select from dispute as d
                          where d.provider = $1 and d.reference = n.dispute)
        """,
        provider,
        [dispute for dispute, _ in disputes],
        [payment for _, payment in disputes],
        tx.now,
    )
    return int(status.rpartition(" ")[2])
