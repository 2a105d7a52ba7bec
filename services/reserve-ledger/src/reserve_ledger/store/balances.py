"""Balances by code and by address, as the lock on the tenant's head makes them ours alone."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chain import Account, Balance, Head, Ledger

TenantKey = tuple[UUID, str, str]
"""Tenant, code or address, and asset."""


async def open_ledgers(
    tx: Tx, heads: Mapping[UUID, Head], legs: Iterable[tuple[UUID, Leg]]
) -> dict[UUID, Ledger]:
    """The ledgers of these heads, with the balances of what the legs touch."""
    ledgers = {tenant: Ledger(head, {}) for tenant, head in heads.items()}
    codes: set[TenantKey] = set()
    addresses: set[TenantKey] = set()
    for tenant, leg in legs:
        codes.add((tenant, leg.account, leg.asset))
        addresses.add((tenant, leg.address or own_address(leg.account), leg.asset))
    rows = await tx.fetch(
        """
        select true as is_code, b.tenant_id, b.account as place, b.asset, b.account as code,
               b.debit_minor, b.credit_minor, 0::bigint as held_minor
        from unnest($1::uuid[], $2::text[], $3::text[]) as k(tenant_id, account, asset)
        join account_balance b using (tenant_id, account, asset)
        union all
        select false, a.tenant_id, a.address, a.asset, a.code, a.debit_minor, a.credit_minor,
               a.held_minor
        from unnest($4::uuid[], $5::text[], $6::text[]) as k(tenant_id, address, asset)
        join account a using (tenant_id, address, asset)
        """,
        *_columns(codes),
        *_columns(addresses),
    )
    for is_code, tenant, place, asset, code, debit, credit, held in rows:
        if is_code:
            ledgers[tenant].balances[place, asset] = Balance(debit, credit)
        else:
            ledgers[tenant].accounts[place, asset] = Account(debit, credit, code, held)
    return ledgers


async def save_ledgers(tx: Tx, ledgers: Sequence[Ledger]) -> None:
    """Save heads and balances, once each however often the batch touched it.

    They are written whole, not added to: the lock on the tenant's head makes them ours alone.
    """
    codes = sorted(
        (ledger.head.tenant_id, *key, balance.debit_minor, balance.credit_minor)
        for ledger in ledgers
        for key, balance in ledger.balances.items()
    )
    addresses = sorted(
        (ledger.head.tenant_id, *key, a.code, a.debit_minor, a.credit_minor, a.held_minor)
        for ledger in ledgers
        for key, a in ledger.accounts.items()
    )
    await tx.execute(
        """
        with coded as (
            insert into account_balance (tenant_id, account, asset, debit_minor, credit_minor)
            select tenant_id, account, asset, debit_minor, credit_minor
            from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                as b(tenant_id, account, asset, debit_minor, credit_minor)
            on conflict (tenant_id, account, asset) do update
            set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor
        ), addressed as (
            insert into account
                (tenant_id, address, asset, code, debit_minor, credit_minor, held_minor)
            select tenant_id, address, asset, code, debit_minor, credit_minor, held_minor
            from unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::bigint[],
                        $11::bigint[], $12::bigint[])
                as a(tenant_id, address, asset, code, debit_minor, credit_minor, held_minor)
            on conflict (tenant_id, address, asset) do update
            set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor,
                held_minor = excluded.held_minor
        )
        update ledger_head h
        set sequence = n.sequence, hash = n.hash, posted_at = n.posted_at
        from unnest($13::uuid[], $14::bigint[], $15::bytea[], $16::timestamptz[])
            as n(tenant_id, sequence, hash, posted_at)
        where h.tenant_id = n.tenant_id
        """,
        *_transposed(codes, 5),
        *_transposed(addresses, 7),
        [ledger.head.tenant_id for ledger in ledgers],
        [ledger.head.sequence for ledger in ledgers],
        [bytes.fromhex(ledger.head.hash) for ledger in ledgers],
        [ledger.head.posted_at for ledger in ledgers],
    )


def _columns(keys: Iterable[TenantKey]) -> list[list[object]]:
    return _transposed(sorted(keys), 3)


def _transposed(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[place] for row in rows] for place in range(width)]
