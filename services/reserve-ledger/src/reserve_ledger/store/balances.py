"""Balances by code and by address, as the lock on the tenant's head makes them ours alone."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from messaging import Tx
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chain import Account, Balance, Head, Ledger, Posted
from reserve_ledger.store.chain import ENTER, entered

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


async def open_books(
    tx: Tx, touched: Sequence[tuple[UUID, Leg]], references: Sequence[tuple[UUID, str]]
) -> tuple[dict[UUID, Ledger], dict[tuple[UUID, str], UUID]]:
    """Lock the chains of these tenants and open their ledgers; which references were used, by what.

    `lock_heads` and `open_ledgers` in one round trip: see `open_books` in the schema.
    """
    codes = {(tenant, leg.account, leg.asset) for tenant, leg in touched}
    addresses = {
        (tenant, leg.address or own_address(leg.account), leg.asset) for tenant, leg in touched
    }
    rows = await tx.fetch(
        """
        select part, tenant, place, asset_code, code_of, debit, credit, held, chain, moment,
               transaction
        from open_books($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        list({tenant for tenant, _ in touched}),
        *_columns(codes),
        *_columns(addresses),
        [tenant for tenant, _ in references],
        [reference for _, reference in references],
    )
    ledgers: dict[UUID, Ledger] = {}
    used: dict[tuple[UUID, str], UUID] = {}
    for part, tenant, place, asset, code, debit, credit, held, chain, at, transaction in rows:
        match part:
            case "head":
                ledgers[tenant] = Ledger(Head(tenant, debit, chain, at), {})
            case "code":
                ledgers[tenant].balances[place, asset] = Balance(debit, credit)
            case "address":
                ledgers[tenant].accounts[place, asset] = Account(debit, credit, code, held)
            case _:
                used[tenant, place] = transaction
    return ledgers, used


_SAVE = """
    , coded as (
        insert into account_balance (tenant_id, account, asset, debit_minor, credit_minor)
        select tenant_id, account, asset, debit_minor, credit_minor
        from unnest($27::uuid[], $28::text[], $29::text[], $30::bigint[], $31::bigint[])
            as b(tenant_id, account, asset, debit_minor, credit_minor)
        on conflict (tenant_id, account, asset) do update
        set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor
    ), addressed as (
        insert into account
            (tenant_id, address, asset, code, debit_minor, credit_minor, held_minor)
        select tenant_id, address, asset, code, debit_minor, credit_minor, held_minor
        from unnest($32::uuid[], $33::text[], $34::text[], $35::text[], $36::bigint[],
                    $37::bigint[], $38::bigint[])
            as a(tenant_id, address, asset, code, debit_minor, credit_minor, held_minor)
        on conflict (tenant_id, address, asset) do update
        set debit_minor = excluded.debit_minor, credit_minor = excluded.credit_minor,
            held_minor = excluded.held_minor
    )
    update ledger_head h
    set sequence = n.sequence, hash = n.hash, posted_at = n.posted_at
    from unnest($39::uuid[], $40::bigint[], $41::bytea[], $42::timestamptz[])
        as n(tenant_id, sequence, hash, posted_at)
    where h.tenant_id = n.tenant_id
"""


async def enter(tx: Tx, posted: Sequence[Posted], ledgers: Sequence[Ledger]) -> None:
    """Enter transactions, and save heads and balances, once each however often they were touched.

    Balances are written whole, not added to: the lock on the tenant's head makes them ours alone.
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
        ENTER + _SAVE,
        *entered(posted),
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
