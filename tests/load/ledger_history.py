"""History for `make bench-ledger --grow-to`: transfers a tenant made before, by COPY.

They are made by the product's own domain, each hashed on the one before it, with the balances that
were left; only the way in is another: triggers are off for it, and no facts are stated.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import asyncpg

CHUNK = 20_000
_TRANSACTION = (
    *("tenant_id", "id", "sequence", "template", "template_version", "cause_event_id"),
    *("posted_at", "previous_hash", "hash", "reference", "actor"),
)
_POSTING = (
    *("tenant_id", "transaction_id", "sequence", "line", "account", "asset", "amount_minor"),
    *("balance_minor", "address", "address_balance_minor"),
)
_BALANCES = """
with coded as (
    update reserve_ledger.account_balance b
    set debit_minor = n.debit, credit_minor = n.credit
    from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) as n(account, asset, debit, credit)
    where b.tenant_id = $1 and b.account = n.account and b.asset = n.asset
), addressed as (
    update reserve_ledger.account a set debit_minor = n.debit, credit_minor = n.credit
    from unnest($6::text[], $7::text[], $8::bigint[], $9::bigint[]) as n(address, asset, debit, credit)
    where a.tenant_id = $1 and a.address = n.address and a.asset = n.asset
), totalled as (
    update reserve_ledger.reserve_total r set balance_minor = n.debit - n.credit
    from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) as n(account, asset, debit, credit)
    where r.account = n.account and r.asset = n.asset
)
update reserve_ledger.ledger_head set sequence = $10, hash = decode($11, 'hex'), posted_at = $12
where tenant_id = $1
"""
"""The benchmark's tenant is alone in its database, so its balances are the platform's totals."""
_BARE = """
with made as (
    insert into bare.bare_transfer (id, reference, source, target, amount)
    select gen_random_uuid(), 'old-' || gen_random_uuid(), 'tenant-' || n % $2, 'reserve', 11900
    from generate_series(1, $1) as g(n) returning id, source, target, amount
), entered as (
    insert into bare.bare_entry (transfer_id, account, amount)
    select id, source, -amount from made union all select id, target, amount from made
), announced as (
    insert into bare.bare_outbox (key, payload)
    select id::text, convert_to('{"id":"' || id || '"}', 'utf8') from made
)
insert into bare.bare_account as a (id, debit, credit)
select account, sum(debit), sum(credit) from (
    select source as account, amount as debit, 0 as credit from made
    union all select target, 0, amount from made) legs
group by account order by account
on conflict (id) do update set debit = a.debit + excluded.debit, credit = a.credit + excluded.credit
"""


async def copy_history(
    admin: asyncpg.Connection, ledger: Any, addresses: list[str], count: int
) -> None:
    """Add so many transfers to the ledger of a tenant that nobody posts for meanwhile."""
    await admin.execute("set session_replication_role = replica")
    async with admin.transaction():
        for size in _sizes(count):
            made = [_posted(ledger, addresses, number) for number in range(size)]
            for table, columns, rows in (
                ("ledger_transaction", _TRANSACTION, [_row(p) for p in made]),
                ("posting", _POSTING, [line for p in made for line in _lines(p)]),
            ):
                await admin.copy_records_to_table(
                    table, schema_name="reserve_ledger", columns=columns, records=rows
                )
        head = ledger.head
        await admin.execute(
            _BALANCES,
            head.tenant_id,
            *_columns(ledger.balances),
            *_columns(ledger.accounts),
            *(head.sequence, head.hash, head.posted_at),
        )
    await admin.execute("set session_replication_role = origin")


async def copy_control(admin: asyncpg.Connection, accounts: int, count: int) -> None:
    """The same number of transfers in the yardstick's book."""
    for size in _sizes(count):
        await admin.execute(_BARE, size, accounts)


def _sizes(count: int) -> Iterator[int]:
    while count > 0:
        yield min(CHUNK, count)
        count -= CHUNK


def _posted(ledger: Any, addresses: list[str], number: int) -> Any:
    from messaging import Tx
    from reserve_ledger.domain.tenant_postings import Line, PostingRequest, entry_of, legs_of

    name = addresses[number % len(addresses)]
    lines = (Line("merchant:available", "PATHUSD", 1), Line(name, "PATHUSD", -1))
    request = PostingRequest(ledger.head.tenant_id, "bench", lines, str(uuid.uuid4()))
    legs = legs_of(lines)
    assert isinstance(legs, tuple)
    return ledger.post(entry_of(request, legs, Tx.new_id()))


def _row(p: Any) -> tuple[Any, ...]:
    e = p.entry
    return (
        *(e.tenant_id, e.id, p.sequence, e.template.name, e.template.version, e.cause_event_id),
        *(p.posted_at, bytes.fromhex(p.previous_hash), bytes.fromhex(p.hash)),
        *(e.reference, e.actor),
    )


def _lines(p: Any) -> Iterator[tuple[Any, ...]]:
    e = p.entry
    for place, leg in enumerate(e.legs):
        yield (
            *(e.tenant_id, e.id, p.sequence, place + 1, leg.account, leg.asset, leg.amount_minor),
            *(p.balances[place], leg.address, p.address_balances[place]),
        )


def _columns(balances: Any) -> list[list[Any]]:
    found = [(*key, b.debit_minor, b.credit_minor) for key, b in balances.items()]
    return [list(column) for column in zip(*found, strict=True)]
