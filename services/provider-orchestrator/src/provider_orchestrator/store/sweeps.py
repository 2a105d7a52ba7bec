"""Money at deposit addresses, and the transactions that fetch it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging import Database, Tx
from provider_orchestrator.domain.sweeps import Item, Landed, Signed, State, Sweep, Waiting
from provider_orchestrator.domain.transfers import CREATE2, Payment


async def note_unswept(tx: Tx, payments: Sequence[Payment]) -> None:
    """What became final and lies at a deposit address waits there to be fetched."""
    final = [p for p in payments if p.provider == CREATE2 and p.final_at is not None]
    if not final:
        return
    await tx.execute(
        """
        insert into unswept as u (tenant_id, wallet_id, asset, chain_id, units, since)
        select tenant_id, wallet_id, asset, chain_id, sum(units), $6
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
            as n(tenant_id, wallet_id, asset, chain_id, units)
        group by tenant_id, wallet_id, asset, chain_id order by tenant_id, wallet_id, asset
        on conflict (tenant_id, wallet_id, asset) do update set units = u.units + excluded.units
        """,
        [p.tenant_id for p in final],
        [p.wallet_id for p in final],
        [p.asset for p in final],
        [p.chain_id for p in final],
        [p.amount_minor for p in final],
        tx.now,
    )


async def want_swept(tx: Tx, wallets: Sequence[tuple[UUID, UUID]]) -> None:
    """Somebody waits for these wallets to be empty; the keys are tenant and wallet id."""
    await tx.execute(
        """
        update unswept as u set wanted_at = coalesce(u.wanted_at, $3)
        from unnest($1::uuid[], $2::uuid[]) as w(tenant_id, wallet_id)
        where u.tenant_id = w.tenant_id and u.wallet_id = w.wallet_id
        """,
        [tenant for tenant, _ in wallets],
        [wallet for _, wallet in wallets],
        tx.now,
    )


async def select_waiting(
    database: Database, chain_id: int, now: datetime, limit: int
) -> list[Waiting]:
    """Money that could be fetched now; what is waited for first, then the oldest."""
    rows = await database.fetch(
        """
        select u.tenant_id, u.wallet_id, w.invoice_id, u.asset, w.address, w.salt, u.since,
               u.wanted_at is not null as wanted
        from unswept u join watched_address w using (tenant_id, wallet_id)
        where u.chain_id = $1 and u.sweep_id is null and w.salt is not null
          and (u.rest_until is null or u.rest_until <= $2)
        order by u.wanted_at is null, u.since limit $3
        """,
        chain_id,
        now,
        limit,
    )
    return [Waiting(**row) for row in rows]


async def insert_sweep(tx: Tx, sweep: Sweep, now: datetime) -> bool:
    """Take the operator's nonce; False when one is in flight, or the nonce is taken."""
    taken = await tx.fetchval(
        """
        insert into sweep (id, chain_id, rail, operator, nonce, asset, token, state, signed_at)
        values ($1, $2, $3, $4, $5, $6, $7, 'signed', $8) on conflict do nothing returning id
        """,
        sweep.id,
        sweep.chain_id,
        sweep.rail,
        sweep.operator,
        sweep.nonce,
        sweep.asset,
        sweep.token,
        now,
    )
    return taken is not None


async def insert_items(tx: Tx, sweep: Sweep, items: Sequence[Item]) -> None:
    """What a sweep is to fetch; nobody else fetches it meanwhile."""
    tenants = [item.waiting.tenant_id for item in items]
    wallets = [item.waiting.wallet_id for item in items]
    await tx.execute(
        """
        insert into sweep_item (tenant_id, sweep_id, wallet_id, invoice_id, salt, address, units)
        select tenant_id, $1, wallet_id, invoice_id, salt, address, units::numeric
        from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bytea[], $7::text[])
            as i(tenant_id, wallet_id, invoice_id, salt, address, units)
        """,
        sweep.id,
        tenants,
        wallets,
        [item.waiting.invoice_id for item in items],
        [item.waiting.salt for item in items],
        [item.waiting.address for item in items],
        [str(item.units) for item in items],
    )
    await tx.execute(
        """
        update unswept as u set sweep_id = $1
        from unnest($2::uuid[], $3::uuid[]) as i(tenant_id, wallet_id)
        where u.tenant_id = i.tenant_id and u.wallet_id = i.wallet_id and u.asset = $4
        """,
        sweep.id,
        tenants,
        wallets,
        sweep.asset,
    )


async def insert_signed(tx: Tx, sweep_id: UUID, signed: Signed) -> None:
    """Keep what is about to be sent."""
    await tx.execute(
        """
        insert into sweep_transaction (transaction_hash, sweep_id, raw, max_fee_wei, tip_wei,
                                       gas_limit, signed_at)
        values ($1, $2, $3, $4::text::numeric, $5::text::numeric, $6, $7)
        on conflict (transaction_hash) do nothing
        """,
        signed.transaction_hash,
        sweep_id,
        signed.raw,
        str(signed.max_fee_wei),
        str(signed.tip_wei),
        signed.gas_limit,
        signed.signed_at,
    )


async def select_in_flight(database: Database, chain_id: int, operator: bytes) -> Sweep | None:
    """The operator's sweep whose end is not known; there is one at most."""
    rows = await database.fetch(
        """
        select id, chain_id, rail, operator, nonce, asset, token from sweep
        where chain_id = $1 and operator = $2 and state = 'signed'
        """,
        chain_id,
        operator,
    )
    return Sweep(**rows[0]) if rows else None


async def select_signed(database: Database, sweep_id: UUID) -> list[Signed]:
    """What was signed for a sweep, the newest last."""
    rows = await database.fetch(
        """
        select transaction_hash, raw, max_fee_wei::text as max_fee_wei, tip_wei::text as tip_wei,
               gas_limit, signed_at
        from sweep_transaction where sweep_id = $1 order by signed_at, max_fee_wei
        """,
        sweep_id,
    )
    return [
        Signed(**{**row, "max_fee_wei": int(row["max_fee_wei"]), "tip_wei": int(row["tip_wei"])})
        for row in rows
    ]


async def select_salts(database: Database, sweep_id: UUID) -> list[bytes]:
    """The salts of a sweep's addresses, in the order in which they were signed."""
    rows = await database.fetch(
        "select salt from sweep_item where sweep_id = $1 order by salt", sweep_id
    )
    return [row["salt"] for row in rows]


async def end_sweep(
    tx: Tx, sweep_id: UUID, state: State, landed: Landed | None, now: datetime
) -> bool:
    """Write how a sweep ended; False when somebody else has."""
    ended = await tx.fetchval(
        """
        update sweep set state = $2, resolved_at = $3, transaction_hash = $4, block_number = $5,
               block_hash = $6, gas_used = $7, fee_wei = $8::text::numeric
        where id = $1 and state = 'signed' returning id
        """,
        sweep_id,
        state,
        now,
        landed and landed.transaction_hash,
        landed and landed.block_number,
        landed and landed.block_hash,
        landed and landed.gas_used,
        landed and str(landed.fee_wei),
    )
    return ended is not None


async def count_not_final(tx: Tx, chain_id: int, up_to: int) -> int:
    """Payments of a chain up to a block that do not count yet."""
    count: int = await tx.fetchval(
        """
        select count(*) from payment where chain_id = $1 and block_number <= $2 and state = 'seen'
        """,
        chain_id,
        up_to,
    )
    return count


async def mark_swept(tx: Tx, sweep: Sweep, landed: Landed) -> list[Any]:
    """Write what came of each address; a row for each that was emptied, with its payments."""
    salts = sorted(landed.swept)
    return await tx.fetch(
        """
        with item as (
            update sweep_item i
            set swept_units = s.units::numeric, refused = s.units is null
            from (select i.salt, n.units, n.place from sweep_item i
                  left join unnest($2::bytea[], $3::text[], $4::int[]) as n(salt, units, place)
                      using (salt)
                  where i.sweep_id = $1) as s
            where i.sweep_id = $1 and i.salt = s.salt
            returning i.tenant_id, i.wallet_id, i.invoice_id, i.address, i.swept_units, s.place
        ), moved as (
            insert into swept_payment (tenant_id, payment_id, sweep_id)
            select p.tenant_id, p.id, $1 from payment p join item i using (tenant_id, wallet_id)
            where p.asset = $5 and p.state in ('succeeded', 'conflicted') and i.swept_units > 0
              and (p.block_number, p.log_index) < ($6, i.place)
            on conflict (tenant_id, payment_id) do nothing
            returning tenant_id, payment_id
        )
        select i.tenant_id, i.wallet_id, i.invoice_id, i.address, i.swept_units::text as units,
               coalesce(sum(p.amount_minor), 0)::text as paid,
               coalesce(array_agg(p.id order by p.block_number, p.log_index)
                        filter (where p.id is not null), '{}') as payments
        from item i left join (
            select p.tenant_id, p.wallet_id, p.id, p.amount_minor, p.block_number, p.log_index
            from moved m join payment p on p.tenant_id = m.tenant_id and p.id = m.payment_id
        ) as p using (tenant_id, wallet_id)
        where i.swept_units > 0
        group by i.tenant_id, i.wallet_id, i.invoice_id, i.address, i.swept_units
        order by i.wallet_id
        """,
        sweep.id,
        salts,
        [str(landed.swept[salt][0]) for salt in salts],
        [landed.swept[salt][1] for salt in salts],
        sweep.asset,
        landed.block_number,
    )


async def take_unswept(tx: Tx, sweep: Sweep, emptied: Sequence[Any]) -> None:
    """What was moved waits no more."""
    await tx.execute(
        """
        with moved as (
            select * from unnest($1::uuid[], $2::uuid[], $3::text[])
                as m(tenant_id, wallet_id, paid)
        ), gone as (
            delete from unswept u using moved m
            where u.tenant_id = m.tenant_id and u.wallet_id = m.wallet_id and u.asset = $4
              and u.units <= m.paid::numeric
        )
        update unswept u set units = u.units - m.paid::numeric, sweep_id = null, refusals = 0,
               rest_until = null
        from moved m
        where u.tenant_id = m.tenant_id and u.wallet_id = m.wallet_id and u.asset = $4
          and u.units > m.paid::numeric
        """,
        [row["tenant_id"] for row in emptied],
        [row["wallet_id"] for row in emptied],
        [row["paid"] for row in emptied],
        sweep.asset,
    )


async def release_unswept(tx: Tx, sweep_id: UUID) -> list[Any]:
    """What a sweep did not move waits again; a row for each with how often that happened."""
    return await tx.fetch(
        """
        update unswept set sweep_id = null, refusals = refusals + 1 where sweep_id = $1
        returning tenant_id, wallet_id, asset, refusals
        """,
        sweep_id,
    )


async def rest_unswept(tx: Tx, rows: Sequence[tuple[UUID, UUID, str, datetime]]) -> None:
    """Leave these alone until a time; (tenant, wallet, asset, until)."""
    await tx.execute(
        """
        update unswept as u set rest_until = r.until
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
            as r(tenant_id, wallet_id, asset, until)
        where u.tenant_id = r.tenant_id and u.wallet_id = r.wallet_id and u.asset = r.asset
        """,
        *([row[column] for row in rows] for column in range(4)),
    )
