"""Control of `ledger`: one statement that posts a batch of transfers, with a reference each.

Two entries a transfer, balances of both accounts, an outbox row. No chain of hashes, no floors, no
tenants, no inbox, no statement of the reserve.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

TABLES = """
create table bare_account (
    id text primary key, debit numeric(38, 0) not null, credit numeric(38, 0) not null
) with (fillfactor = 50);
create table bare_transfer (
    id uuid primary key, reference text not null unique, source text not null, target text not null,
    amount bigint not null check (amount > 0), posted_at timestamptz not null default now());
create table bare_entry (transfer_id uuid not null, account text not null, amount bigint not null);
create index bare_entry_account on bare_entry (account);
create table bare_outbox (
    seq bigint generated always as identity primary key, key text not null, payload bytea not null);
"""
_POST = """
with wished as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[])
        as w(id, reference, source, target, amount)
), posted as (
    insert into bare_transfer (id, reference, source, target, amount)
    select id, reference, source, target, amount from wished
    on conflict do nothing returning id, source, target, amount
), entered as (
    insert into bare_entry (transfer_id, account, amount)
    select id, source, -amount from posted union all select id, target, amount from posted
), sums as (
    select account, sum(debit) as debit, sum(credit) as credit from (
        select source as account, amount as debit, 0::bigint as credit from posted
        union all select target, 0, amount from posted) as legs
    group by account order by account
), balanced as (
    insert into bare_account as a (id, debit, credit) select account, debit, credit from sums
    on conflict (id) do update
        set debit = a.debit + excluded.debit, credit = a.credit + excluded.credit
), announced as (
    insert into bare_outbox (key, payload)
    select id::text, convert_to('{"id":"' || id || '","amount":' || amount || '}', 'utf8')
    from posted
)
select count(*) from posted
"""
_BOOKS = """
select (select count(*) from bare_transfer) = $1
   and (select count(*) from bare_entry) = 2 * $1
   and (select coalesce(sum(amount), 0) from bare_entry) = 0
   and (select sum(debit) = sum(credit) from bare_account)
   and (select count(*) from bare_outbox) = $1
"""


def transfers(count: int, accounts: int) -> list[tuple[Any, ...]]:
    """Rows to post: from the accounts in turn to one other."""
    ids = [uuid.uuid4() for _ in range(count)]
    return [
        (one, f"ref-{one}", f"tenant-{number % accounts}", "reserve", 11_900)
        for number, one in enumerate(ids)
    ]


async def post(connection: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Post them in one statement, which is one commit."""
    await connection.fetchval(_POST, *map(list, zip(*rows, strict=True)))


async def books_agree(connection: Any, posted: int) -> bool:
    """Whether nothing was lost, doubled or left unbalanced."""
    return bool(await connection.fetchval(_BOOKS, posted))
