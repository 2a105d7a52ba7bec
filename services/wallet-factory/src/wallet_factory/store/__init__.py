"""SQL of the factory: one function a statement, arrays in, rows out."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from messaging import Tx
from wallet_factory.domain.create2 import Create2Rail
from wallet_factory.domain.health import Circuit
from wallet_factory.domain.psp import REFERENCE_BITS, PspRail
from wallet_factory.domain.rails import Rail
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.domain.wallet import Decision, Destroyed, Wallet
from wallet_factory.errors import MasterUnknown

Attempt = tuple[UUID, UUID, int]
"""Tenant, invoice, number of the attempt."""


async def lock_counter_key(tx: Tx, rail: TempoRail) -> str:
    """Make sure the master has its row; the fingerprint of the key its counter was begun with."""
    await tx.execute(
        """
        insert into tempo_master (chain_id, master_id, address, tag_key_fingerprint)
        values ($1, $2, $3, $4) on conflict do nothing
        """,
        rail.chain_id,
        rail.master_id,
        rail.master_address,
        rail.tag_key_fingerprint,
    )
    found: str = await tx.fetchval(
        """
        select tag_key_fingerprint from tempo_master
        where chain_id = $1 and master_id = $2 for update
        """,
        rail.chain_id,
        rail.master_id,
    )
    return found


async def update_master_address(tx: Tx, rail: TempoRail) -> None:
    """Keep the master's address as the settings say it."""
    await tx.execute(
        "update tempo_master set address = $3 where chain_id = $1 and master_id = $2",
        rail.chain_id,
        rail.master_id,
        rail.master_address,
    )


async def take_places(tx: Tx, rail: Rail, count: int) -> Sequence[int]:
    """The next places of a rail's counter; taken for good once this transaction commits."""
    if isinstance(rail, PspRail):
        # No counter: references are random, and `issued_address` holds that none comes twice.
        return [int.from_bytes(os.urandom(REFERENCE_BITS // 8), "big") for _ in range(count)]
    if isinstance(rail, Create2Rail):
        return await _take_create2_places(tx, rail, count)
    assert isinstance(rail, TempoRail), "a rail with another counter takes its places here"
    first = await tx.fetchval(
        """
        update tempo_master set next_tag = next_tag + $3
        where chain_id = $1 and master_id = $2 returning next_tag - $3
        """,
        rail.chain_id,
        rail.master_id,
        count,
    )
    if first is None:
        raise MasterUnknown(rail.network)
    return range(first, first + count)


async def _take_create2_places(tx: Tx, rail: Create2Rail, count: int) -> range:
    first = await tx.fetchval(
        """
        update create2_factory set next_place = next_place + $3
        where chain_id = $1 and factory = $2 returning next_place - $3
        """,
        rail.chain_id,
        rail.factory.lower(),
        count,
    )
    if first is None:
        raise MasterUnknown(rail.network)
    return range(first, first + count)


async def lock_salt_key(tx: Tx, rail: Create2Rail) -> tuple[str, str]:
    """Make sure the factory has its row; implementation and key its counter was begun with."""
    await tx.execute(
        """
        insert into create2_factory (chain_id, factory, implementation, salt_key_fingerprint)
        values ($1, $2, $3, $4) on conflict do nothing
        """,
        rail.chain_id,
        rail.factory.lower(),
        rail.implementation.lower(),
        rail.salt_key_fingerprint,
    )
    (row,) = await tx.fetch(
        """
        select implementation, salt_key_fingerprint from create2_factory
        where chain_id = $1 and factory = $2 for update
        """,
        rail.chain_id,
        rail.factory.lower(),
    )
    return row["implementation"], row["salt_key_fingerprint"]


async def select_provided(
    tx: Tx, requests: Sequence[InvoiceIssuing]
) -> tuple[set[tuple[UUID, UUID]], set[Attempt]]:
    """Invoices that have a wallet, and attempts that were decided, among these."""
    rows = await tx.fetch(
        """
        select asked.tenant_id, asked.invoice_id, asked.attempt,
            exists (select from wallet w where w.tenant_id = asked.tenant_id
                    and w.invoice_id = asked.invoice_id) as has_wallet,
            exists (select from decision d where d.tenant_id = asked.tenant_id
                    and d.invoice_id = asked.invoice_id and d.attempt = asked.attempt) as decided
        from unnest($1::uuid[], $2::uuid[], $3::int[]) as asked(tenant_id, invoice_id, attempt)
        """,
        [request.tenant_id for request in requests],
        [request.invoice_id for request in requests],
        [request.attempt for request in requests],
    )
    having = {(row["tenant_id"], row["invoice_id"]) for row in rows if row["has_wallet"]}
    decided = {
        (row["tenant_id"], row["invoice_id"], row["attempt"]) for row in rows if row["decided"]
    }
    return having, decided


async def insert_wallets(tx: Tx, wallets: Sequence[Wallet]) -> set[UUID]:
    """Insert wallets in the order of their invoices; the ids of those whose invoice had none."""
    ordered = sorted(wallets, key=lambda wallet: wallet.decision.request.invoice_id)
    asked = [wallet.decision.request for wallet in ordered]
    rows = await tx.fetch(
        """
        insert into wallet (tenant_id, id, invoice_id, mode, rail, chain_id, address, memo,
                            accepted_assets, due_minor, asset, ttl_s, watch_window_s, expires_at,
                            created_at, salt)
        select tenant_id, id, invoice_id, mode, rail, chain_id, address, memo,
               string_to_array(accepted, ','), due_minor, asset, ttl_s, watch_window_s, expires_at,
               created_at, salt
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[],
                    $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::int[],
                    $13::int[], $14::timestamptz[], $15::timestamptz[], $16::text[])
            as new(tenant_id, id, invoice_id, mode, rail, chain_id, address, memo, accepted,
                   due_minor, asset, ttl_s, watch_window_s, expires_at, created_at, salt)
        on conflict (tenant_id, invoice_id) do nothing returning id
        """,
        [request.tenant_id for request in asked],
        [wallet.id for wallet in ordered],
        [request.invoice_id for request in asked],
        [wallet.decision.mode.mode for wallet in ordered],
        [wallet.rail.name for wallet in ordered],
        [wallet.rail.chain_id for wallet in ordered],
        [wallet.address for wallet in ordered],
        [wallet.memo for wallet in ordered],
        [",".join(wallet.accepted_assets) for wallet in ordered],
        [request.due.amount_minor for request in asked],
        [request.due.asset for request in asked],
        [request.wallet.ttl_s for request in asked],
        [request.wallet.watch_window_s for request in asked],
        [wallet.expires_at for wallet in ordered],
        [wallet.created_at for wallet in ordered],
        [wallet.salt for wallet in ordered],
    )
    return {row["id"] for row in rows}


async def insert_addresses(tx: Tx, wallets: Sequence[Wallet]) -> None:
    """Note the addresses as given; a second time for any of them ends the transaction."""
    ordered = sorted(wallets, key=lambda wallet: wallet.address)
    await tx.execute(
        """
        insert into issued_address (network, address)
        select network, address from unnest($1::text[], $2::text[]) as new(network, address)
        """,
        [wallet.rail.network for wallet in ordered],
        [wallet.address for wallet in ordered],
    )


async def insert_secrets(tx: Tx, wallets: Sequence[Wallet]) -> None:
    """Keep what can be destroyed apart from the wallets."""
    await tx.execute(
        """
        insert into wallet_secret (tenant_id, wallet_id, memo_salt, derivation)
        select tenant_id, wallet_id, memo_salt, derivation
        from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[])
            as new(tenant_id, wallet_id, memo_salt, derivation)
        """,
        [wallet.decision.request.tenant_id for wallet in wallets],
        [wallet.id for wallet in wallets],
        [wallet.memo_salt for wallet in wallets],
        [wallet.derivation for wallet in wallets],
    )


async def insert_decisions(
    tx: Tx, decisions: Sequence[tuple[UUID, Decision]], now: datetime
) -> set[UUID]:
    """Store decisions under their ids; the ids of those whose attempt had none."""
    made = sorted(decisions, key=lambda pair: (pair[1].request.invoice_id, pair[0]))
    kept = [decision for _, decision in made]
    rows = await tx.fetch(
        """
        insert into decision (tenant_id, wallet_id, invoice_id, attempt, mode, mode_rule,
                              mode_reasons, rail, rail_rule, skipped, failure, inputs,
                              policy_version, decided_at)
        select tenant_id, wallet_id, invoice_id, attempt, mode, mode_rule,
               array(select jsonb_array_elements_text(mode_reasons::jsonb)), rail, rail_rule,
               skipped::jsonb, failure, inputs::jsonb, policy_version, $14
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                    $13::int[])
            as new(tenant_id, wallet_id, invoice_id, attempt, mode, mode_rule, mode_reasons, rail,
                   rail_rule, skipped, failure, inputs, policy_version)
        on conflict (tenant_id, invoice_id, attempt) do nothing returning wallet_id
        """,
        [decision.request.tenant_id for decision in kept],
        [wallet_id for wallet_id, _ in made],
        [decision.request.invoice_id for decision in kept],
        [decision.request.attempt for decision in kept],
        [decision.mode.mode for decision in kept],
        [decision.mode.rule for decision in kept],
        [json.dumps(decision.mode.reasons) for decision in kept],
        [decision.rail.name if decision.rail else None for decision in kept],
        [decision.rail_rule for decision in kept],
        [json.dumps([asdict(skipped) for skipped in decision.choice.skipped]) for decision in kept],
        [decision.failure for decision in kept],
        [json.dumps(decision.inputs) for decision in kept],
        [decision.policy_version for decision in kept],
        now,
    )
    return {row["wallet_id"] for row in rows}


async def select_circuits(tx: Tx) -> list[Circuit]:
    """What we last heard of each provider, rail and currency."""
    rows = await tx.fetch(
        "select provider, rail, currency, state = 'open' as is_open from rail_health"
        " order by provider, rail, currency"
    )
    return [Circuit(**row) for row in rows]


async def upsert_health(tx: Tx, news: Sequence[tuple[str, str, str, str, datetime, int]]) -> None:
    """Keep the newest news of each provider, rail and currency: by its time, then its version."""
    newest = {item[:3]: item for item in sorted(news, key=lambda item: item[4:])}
    ordered = [newest[name] for name in sorted(newest)]
    await tx.execute(
        """
        insert into rail_health as known (provider, rail, currency, state, changed_at, version)
        select provider, rail, currency, state, changed_at, version
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
                    $6::bigint[]) as new(provider, rail, currency, state, changed_at, version)
        on conflict (provider, rail, currency) do update
            set state = excluded.state, changed_at = excluded.changed_at,
                version = excluded.version
            where (known.changed_at, known.version) < (excluded.changed_at, excluded.version)
        """,
        *([item[column] for item in ordered] for column in range(6)),
    )


async def delete_secrets(
    tx: Tx, wallets: Sequence[tuple[UUID, UUID]], now: datetime
) -> list[Destroyed]:
    """Delete the secrets of these ephemeral wallets (tenant, wallet); what was deleted."""
    ordered = sorted(set(wallets))
    rows = await tx.fetch(
        """
        with gone as (
            delete from wallet_secret s
            using unnest($1::uuid[], $2::uuid[]) as asked(tenant_id, wallet_id), wallet w
            where s.tenant_id = asked.tenant_id and s.wallet_id = asked.wallet_id
                and w.tenant_id = s.tenant_id and w.id = s.wallet_id and w.mode = 'ephemeral'
            returning s.tenant_id, s.wallet_id, s.memo_salt, s.derivation
        )
        update wallet w set secrets_destroyed_at = greatest($3, w.created_at)
        from gone where w.tenant_id = gone.tenant_id and w.id = gone.wallet_id
        returning w.tenant_id, w.id as wallet_id, w.invoice_id, w.chain_id, w.rail, gone.memo_salt,
                  gone.derivation
        """,
        [tenant for tenant, _ in ordered],
        [wallet for _, wallet in ordered],
        now,
    )
    return sorted((Destroyed(**row) for row in rows), key=lambda gone: gone.wallet_id)


async def count_secrets(tx: Tx, gone: Sequence[Destroyed]) -> int:
    """How many of these wallets still have secrets: read back after deleting."""
    found: int = await tx.fetchval(
        """
        select count(*) from wallet_secret s
        join unnest($1::uuid[], $2::uuid[]) as asked(tenant_id, wallet_id)
            on s.tenant_id = asked.tenant_id and s.wallet_id = asked.wallet_id
        """,
        [item.tenant_id for item in gone],
        [item.wallet_id for item in gone],
    )
    return found
