"""Watched addresses and the payments that came to them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from messaging import Tx
from provider_orchestrator.domain.transfers import Payment, Watched

_PAYMENT = """
    p.tenant_id, p.id, p.wallet_id, p.invoice_id, p.state, p.cause, p.amount_minor, p.asset,
    p.due_minor, p.due_asset, p.expected, p.chain_id, p.block_number, p.block_hash, p.block_at,
    p.transaction_hash, p.log_index, p.payer, p.memo_matches, p.reference, p.final_at,
    p.provider, p.rail
"""
_WATCHED = """
    w.tenant_id, w.wallet_id, w.invoice_id, w.chain_id, w.address, w.memo, w.accepted_assets,
    w.due_minor, w.due_asset, w.provider, w.rail, w.salt
"""


async def insert_watched(tx: Tx, watched: Sequence[Watched]) -> None:
    """Watch addresses for ever; one that is watched stays whose it is."""
    await tx.execute(
        """
        insert into watched_address (tenant_id, wallet_id, invoice_id, chain_id, address, memo,
                                     accepted_assets, due_minor, due_asset, provider, rail, salt)
        select tenant_id, wallet_id, invoice_id, chain_id, address, memo,
               string_to_array(accepted, ','), due_minor, due_asset, provider, rail, salt
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bytea[], $6::bytea[],
                    $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::bytea[])
            with ordinality
            as n(tenant_id, wallet_id, invoice_id, chain_id, address, memo, accepted, due_minor,
                 due_asset, provider, rail, salt, place)
        order by chain_id, address, place
        on conflict do nothing
        """,
        [w.tenant_id for w in watched],
        [w.wallet_id for w in watched],
        [w.invoice_id for w in watched],
        [w.chain_id for w in watched],
        [w.address for w in watched],
        [w.memo for w in watched],
        [",".join(w.accepted_assets) for w in watched],
        [w.due_minor for w in watched],
        [w.due_asset for w in watched],
        [w.provider for w in watched],
        [w.rail for w in watched],
        [w.salt for w in watched],
    )


async def select_watched(tx: Tx, places: Sequence[tuple[int, bytes]]) -> list[Watched]:
    """Whose these addresses are; the places are chain id and address."""
    rows = await tx.fetch(
        f"""
        select {_WATCHED} from watched_address as w
        join (select distinct chain_id, address from unnest($1::bigint[], $2::bytea[])
              as n(chain_id, address)) as n using (chain_id, address)
        """,
        [chain_id for chain_id, _ in places],
        [address for _, address in places],
    )
    return [Watched(**{**row, "accepted_assets": tuple(row["accepted_assets"])}) for row in rows]


async def lock_payments(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Payment]:
    """Payments by id, locked; the keys are tenant and payment id."""
    rows = await tx.fetch(
        f"""
        select {_PAYMENT} from payment as p
        where (p.tenant_id, p.id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by p.tenant_id, p.id for update
        """,
        [tenant for tenant, _ in keys],
        [payment for _, payment in keys],
    )
    return {row["id"]: _payment(row) for row in rows}


async def lock_payments_of(tx: Tx, payment_ids: Sequence[UUID]) -> list[Payment]:
    """Payments by id alone, locked: the chain does not know whose they are."""
    rows = await tx.fetch(
        f"""
        select {_PAYMENT} from payment as p where p.id = any($1::uuid[])
        order by p.tenant_id, p.id for update
        """,
        list(payment_ids),
    )
    return [_payment(row) for row in rows]


async def lock_final(tx: Tx, chain_id: int, number: int) -> list[Payment]:
    """Payments that wait for finality and have it now, in the order of the chain."""
    rows = await tx.fetch(
        f"""
        select {_PAYMENT} from payment as p
        where p.chain_id = $1 and p.block_number <= $2 and p.state = 'seen'
        order by p.block_number, p.log_index for update
        """,
        chain_id,
        number,
    )
    return [_payment(row) for row in rows]


def _payment(row: Any) -> Payment:
    return Payment(**{**row, "expected": tuple(row["expected"])})


async def save_payments(tx: Tx, payments: Sequence[Payment]) -> None:
    """Write payments as they stand now."""
    rows = [
        (
            *(p.tenant_id, p.id, tx.new_id(), p.wallet_id, p.invoice_id, p.provider, p.rail),
            *(
                p.state,
                p.cause,
                p.amount_minor,
                p.asset,
                p.due_minor,
                p.due_asset,
                ",".join(p.expected),
            ),
            *(p.chain_id, p.block_number, p.block_hash, p.block_at, p.transaction_hash),
            *(p.log_index, p.payer, p.memo_matches, p.reference, p.final_at),
        )
        for p in payments
    ]
    await tx.execute(_SAVE, *[list(column) for column in zip(*rows, strict=True)], tx.now)


_SAVE = """
insert into payment (
    tenant_id, id, position, wallet_id, invoice_id, provider, rail, state, cause, amount_minor,
    asset, due_minor, due_asset, expected, chain_id, block_number, block_hash, block_at,
    transaction_hash, log_index, payer, memo_matches, reference, final_at, updated_at)
select tenant_id, id, position, wallet_id, invoice_id, provider, rail, state, cause, amount_minor,
       asset, due_minor, due_asset, string_to_array(expected, ','), chain_id, block_number,
       block_hash, block_at, transaction_hash, log_index, payer, memo_matches, reference, final_at,
       $25::timestamptz
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[], $13::text[],
            $14::text[], $15::bigint[], $16::bigint[], $17::bytea[], $18::timestamptz[],
            $19::bytea[], $20::int[], $21::bytea[], $22::bool[], $23::text[], $24::timestamptz[])
    as n(tenant_id, id, position, wallet_id, invoice_id, provider, rail, state, cause, amount_minor,
         asset, due_minor, due_asset, expected, chain_id, block_number, block_hash, block_at,
         transaction_hash, log_index, payer, memo_matches, reference, final_at)
on conflict (tenant_id, id) do update set
    state = excluded.state, cause = excluded.cause, amount_minor = excluded.amount_minor,
    asset = excluded.asset, block_number = excluded.block_number, block_hash = excluded.block_hash,
    block_at = excluded.block_at, log_index = excluded.log_index, payer = excluded.payer,
    memo_matches = excluded.memo_matches, final_at = excluded.final_at,
    updated_at = excluded.updated_at
"""


async def count_pending(tx: Tx, wallets: Sequence[tuple[UUID, UUID]]) -> dict[UUID, int]:
    """Payments seen and not final, by wallet; the keys are tenant and wallet id."""
    rows = await tx.fetch(
        """
        select wallet_id, count(*) as pending from payment
        where (tenant_id, wallet_id) in (select * from unnest($1::uuid[], $2::uuid[]))
          and state = 'seen'
        group by wallet_id
        """,
        [tenant for tenant, _ in wallets],
        [wallet for _, wallet in wallets],
    )
    return {row["wallet_id"]: row["pending"] for row in rows}


async def select_rails(tx: Tx, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], str]:
    """Rail of each payment that exists; the keys are tenant and payment id."""
    rows = await tx.fetch(
        """
        select tenant_id, id, rail from payment
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        """,
        [tenant for tenant, _ in keys],
        [payment for _, payment in keys],
    )
    return {(row["tenant_id"], row["id"]): row["rail"] for row in rows}
