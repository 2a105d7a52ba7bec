"""Reconciliations: what they staged, matched and could not explain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from invoiceos_contracts import PLATFORM
from messaging import Tx
from reserve_ledger.domain.reconciling import SEVERITY, Break, Item, Match
from reserve_ledger.domain.sources import ACCOUNTS

_LATEST: Final = "interval '45 days'"
"""How long after it happened a movement may be listed or booked first."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """A reconciliation, and the step it is to make."""

    id: UUID
    source: str
    kind: str
    asset: str
    starts_at: datetime
    cut_off: datetime
    step: str
    created_by: str

    @property
    def accounts(self) -> list[str]:
        """What in the book the source stands for."""
        return list(ACCOUNTS[self.kind])

    @property
    def provider(self) -> str:
        """Whose payments these are: `tempo` for `tempo:4217:0x..`."""
        return self.source.partition(":")[0]


_JOB: Final = "id, source, kind, asset, starts_at, cut_off, step, created_by"


async def select_sources(tx: Tx, source: str | None) -> list[tuple[str, str, str]]:
    """Every source, kind and asset that can be reconciled: something was listed of it."""
    rows = await tx.fetch(
        """
        select distinct source, kind, asset from external_statement
        where tenant_id = $1 and ($2::text is null or source = $2) order by source, asset
        """,
        PLATFORM,
        source,
    )
    return [(row["source"], row["kind"], row["asset"]) for row in rows]


async def insert_reconciliation(
    tx: Tx, place: tuple[str, str, str], cut_off: datetime, created_by: str
) -> Job | None:
    """Begin where the last signed one ended; None where one of the source is still open."""
    row = await tx.fetchrow(
        f"""
        insert into reconciliation (tenant_id, id, source, kind, asset, starts_at, cut_off, step,
                                    created_by, created_at)
        select $1, $2, $3::text, $4::text, $5::text,
               coalesce((select max(cut_off) from reconciliation
                         where tenant_id = $1 and source = $3::text and asset = $5::text
                           and step = 'done'), $6),
               $7, 'staging', $8, $9
        on conflict (tenant_id, source, asset) where step <> 'done' do nothing returning {_JOB}
        """,
        PLATFORM,
        tx.new_id(),
        *place,
        BEGINNING,
        cut_off,
        created_by,
        tx.now,
    )
    return None if row is None else Job(**row)


async def lock_next(tx: Tx) -> Job | None:
    """The oldest that has a step to make and that nobody else is making."""
    row = await tx.fetchrow(
        f"""
        select {_JOB} from reconciliation
        where tenant_id = $1 and step not in ('sign_off', 'done')
        order by id limit 1 for update skip locked
        """,
        PLATFORM,
    )
    return None if row is None else Job(**row)


async def stage_external(tx: Tx, job: Job) -> int:
    """Copy the other side's lines up to the cut-off: new ones, and those that are still breaks.

    New is what no signed reconciliation looked at, whenever it happened: statements come late.
    """
    tag = await tx.execute(
        f"""
        insert into reconciliation_item (tenant_id, reconciliation_id, side, key, reference,
                                         amount_minor, at, memo, group_name, status, account)
        select l.tenant_id, $2, 'external', l.reference || '#' || l.ordinal,
               case when exists (select from payment_reference r where r.reference = l.related)
                    then l.related else l.reference end,
               l.amount_minor, l.at, l.memo, l.group_name, null, null
        from external_line l
        where l.tenant_id = $1 and l.source = $3 and l.asset = $4 and l.at <= $6
          and l.at > $5::timestamptz - {_LATEST}
          and (not exists (
            select from reconciliation_item d join reconciliation r
                on r.tenant_id = d.tenant_id and r.id = d.reconciliation_id
            where d.tenant_id = $1 and d.side = 'external'
              and d.key = l.reference || '#' || l.ordinal
              and r.source = $3 and r.asset = $4 and r.step = 'done')
           or exists (
            select from reconciliation_break b
            where b.tenant_id = $1 and b.source = $3 and b.asset = $4 and b.state <> 'closed'
              and b.external_key = l.reference || '#' || l.ordinal))
        on conflict do nothing
        """,
        PLATFORM,
        job.id,
        job.source,
        job.asset,
        job.starts_at,
        job.cut_off,
    )
    return _count(tag)


async def stage_ledger(tx: Tx, job: Job) -> int:
    """Copy the book's movements on the source's accounts, a payment's together.

    Of other accounts only those that the other side names: they may have been misdirected.
    """
    tag = await tx.execute(
        f"""
        with leg as (
            select t.tenant_id, t.payment_id, t.id, t.posted_at, p.account, p.amount_minor
            from ledger_transaction t join posting p using (tenant_id, sequence)
            where p.asset = $4 and p.account like '1%' and t.posted_at <= $6
        ), moved as (
            select coalesce('pay:' || l.tenant_id || '/' || l.payment_id,
                            'txn:' || l.tenant_id || '/' || l.id) as key,
                   r.reference, r.provider, l.account, sum(l.amount_minor)::bigint as amount_minor,
                   min(l.posted_at) as at
            from leg l left join payment_reference r using (tenant_id, payment_id)
            group by 1, 2, 3, 4 having sum(l.amount_minor) <> 0
        )
        insert into reconciliation_item (tenant_id, reconciliation_id, side, key, reference,
                                         amount_minor, at, account, elsewhere)
        select $1, $2, 'ledger', key || '@' || account, reference, amount_minor, at, account,
               account <> all($7::text[])
        from moved m
        where (m.provider is null or m.provider = $3)
          and m.at > $5::timestamptz - {_LATEST}
          and (not exists (
            select from reconciliation_item d join reconciliation r
                on r.tenant_id = d.tenant_id and r.id = d.reconciliation_id
            where d.tenant_id = $1 and d.side = 'ledger' and d.key = m.key || '@' || m.account
              and r.source = $8 and r.asset = $4 and r.step = 'done')
           or exists (
            select from reconciliation_break b
            where b.tenant_id = $1 and b.source = $8 and b.asset = $4 and b.state <> 'closed'
              and b.ledger_key = m.key || '@' || m.account))
          and (m.account = any($7::text[]) or exists (
            select from reconciliation_item i
            where i.tenant_id = $1 and i.reconciliation_id = $2 and i.side = 'external'
              and i.reference = m.reference))
        on conflict do nothing
        """,
        PLATFORM,
        job.id,
        job.provider,
        job.asset,
        job.starts_at,
        job.cut_off,
        job.accounts,
        job.source,
    )
    return _count(tag)


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


async def seal_staging(tx: Tx, job: Job) -> None:
    """Hash what was staged, so that it can be shown that nobody changed it since."""
    await tx.execute(
        """
        update reconciliation r set
            external_count = i.outside, ledger_count = i.inside, content_hash = i.hash
        from (select count(*) filter (where side = 'external') as outside,
                     count(*) filter (where side = 'ledger' and not elsewhere) as inside,
                     sha256(convert_to(coalesce(string_agg(
                         side || ' ' || key || ' ' || coalesce(reference, '') || ' ' || amount_minor
                         || ' ' || extract(epoch from at), E'\\n' order by side, key), ''), 'UTF8'))
                         as hash
              from reconciliation_item where tenant_id = $1 and reconciliation_id = $2) i
        where r.tenant_id = $1 and r.id = $2
        """,
        PLATFORM,
        job.id,
    )


async def select_items(tx: Tx, job: Job) -> tuple[list[Item], list[Item]]:
    """Both sides as they were staged."""
    rows = await tx.fetch(
        """
        select side, key, reference, amount_minor, at, memo, group_name, status, account, elsewhere
        from reconciliation_item where tenant_id = $1 and reconciliation_id = $2
        """,
        PLATFORM,
        job.id,
    )
    sides: dict[str, list[Item]] = {"external": [], "ledger": []}
    for row in rows:
        sides[row["side"]].append(_item(row, job))
    return sides["external"], sides["ledger"]


def _item(row: Any, job: Job) -> Item:
    """Accounts of one source are one place: which of them it is does not matter here."""
    ours = row["account"] is None or row["account"] in job.accounts
    return Item(
        key=row["key"],
        reference=row["reference"],
        amount_minor=row["amount_minor"],
        at=row["at"],
        memo=row["memo"],
        group=row["group_name"],
        status=row["status"],
        account=job.accounts[0] if ours else row["account"],
        elsewhere=row["elsewhere"],
    )


async def insert_matches(tx: Tx, job: Job, matches: Sequence[Match]) -> None:
    """Keep what belongs together, and why."""
    await tx.execute(
        """
        insert into reconciliation_match
            (tenant_id, reconciliation_id, place, pass, external_keys, ledger_keys, why)
        select $1, $2, place, pass, string_to_array(outside, E'\\x1f'),
               string_to_array(inside, E'\\x1f'), why
        from unnest($3::int[], $4::text[], $5::text[], $6::text[], $7::text[])
            as m(place, pass, outside, inside, why)
        on conflict do nothing
        """,
        PLATFORM,
        job.id,
        list(range(1, len(matches) + 1)),
        [match.by for match in matches],
        ["\x1f".join(match.external) for match in matches],
        ["\x1f".join(match.ledger) for match in matches],
        [match.why for match in matches],
    )


async def save_breaks(tx: Tx, job: Job, breaks: Sequence[Break]) -> None:
    """Open what is new, age what is known, close what found its counterpart."""
    keys = [(each.external or "", each.ledger or "") for each in breaks]
    await tx.execute(
        """
        update reconciliation_break set state = 'closed', closed_at = $4,
               closed_because = 'counterpart_came'
        where tenant_id = $1 and source = $2 and asset = $3 and state <> 'closed'
          and (external_key, ledger_key) not in (select * from unnest($5::text[], $6::text[]))
        """,
        PLATFORM,
        job.source,
        job.asset,
        tx.now,
        [outside for outside, _ in keys],
        [inside for _, inside in keys],
    )
    await tx.execute(
        """
        insert into reconciliation_break as b
            (tenant_id, id, reconciliation_id, source, asset, class, severity, external_key,
             ledger_key, reference, amount_minor, account, since, why, state)
        select $1, id, $2, $3, $4, class, severity, outside, inside, reference, amount_minor, $5,
               since, why, 'open'
        from unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                    $12::bigint[], $13::timestamptz[], $14::text[])
            as n(id, class, severity, outside, inside, reference, amount_minor, since, why)
        on conflict (tenant_id, source, asset, external_key, ledger_key) where state <> 'closed'
        do update set class = excluded.class, severity = excluded.severity, why = excluded.why,
            reconciliation_id = excluded.reconciliation_id, amount_minor = excluded.amount_minor
        """,
        PLATFORM,
        job.id,
        job.source,
        job.asset,
        job.accounts[0],
        [tx.new_id() for _ in breaks],
        [each.kind for each in breaks],
        [SEVERITY[each.kind] for each in breaks],
        [outside for outside, _ in keys],
        [inside for _, inside in keys],
        [each.reference for each in breaks],
        [each.amount_minor for each in breaks],
        [each.since for each in breaks],
        [each.why for each in breaks],
    )


async def select_roll_forward(tx: Tx, job: Job) -> dict[str, int | None]:
    """Openings and closings of both sides, and what the statements say moved, in minor units."""
    row = await tx.fetchrow(
        """
        with stated as (
            select opening_minor, closing_minor, starts_at, ends_at from external_statement
            where tenant_id = $1 and source = $2 and asset = $3 and ends_at <= $5
              and ends_at > $4
        ), moved as (
            select coalesce(sum(l.amount_minor), 0) as minor
            from external_line l join external_statement s
                on s.tenant_id = l.tenant_id and s.id = l.statement_id
            where l.tenant_id = $1 and l.source = $2 and l.asset = $3 and s.ends_at <= $5
              and s.ends_at > $4
        ), book as (
            select coalesce(sum(p.amount_minor) filter (where t.posted_at <= $4), 0) as opening,
                   coalesce(sum(p.amount_minor) filter (where t.posted_at > $4), 0) as moved,
                   coalesce(sum(p.amount_minor), 0) as closing
            from ledger_transaction t join posting p using (tenant_id, sequence)
            where p.asset = $3 and p.account = any($6::text[]) and t.posted_at <= $5
        )
        select (select opening_minor from stated where opening_minor is not null
                order by starts_at, ends_at limit 1)::text as external_opening,
               (select closing_minor from stated where closing_minor is not null
                order by ends_at desc, starts_at desc limit 1)::text as external_closing,
               moved.minor::text as external_moved, book.opening::text as ledger_opening,
               book.moved::text as ledger_moved, book.closing::text as ledger_closing
        from moved, book
        """,
        PLATFORM,
        job.source,
        job.asset,
        job.starts_at,
        job.cut_off,
        job.accounts,
    )
    return {name: None if value is None else int(value) for name, value in dict(row).items()}


async def advance(tx: Tx, job: Job, step: str, **counts: int) -> None:
    """The step is made; the next one is this."""
    await tx.execute(
        """
        update reconciliation set step = $3, matched_count = coalesce($4, matched_count),
               break_count = coalesce($5, break_count)
        where tenant_id = $1 and id = $2
        """,
        PLATFORM,
        job.id,
        step,
        counts.get("matched"),
        counts.get("breaks"),
    )


async def save_proof(tx: Tx, job: Job, proof: dict[str, Any], *, proved: bool) -> None:
    """Keep the roll-forward and whether it holds."""
    await tx.execute(
        """
        update reconciliation set proof = $3::jsonb, proved = $4
        where tenant_id = $1 and id = $2
        """,
        PLATFORM,
        job.id,
        proof,
        proved,
    )
