"""SQL of the manager: one function a statement, arrays in, rows out."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ephemeral_manager.domain.destruction import Evidence, Head
from ephemeral_manager.domain.payments import Lateness, Payment, PaymentState
from ephemeral_manager.domain.wallet import Closure, State, Wallet
from invoiceos_contracts import Amount, Event
from invoiceos_contracts.ephemeral_v1 import Certificate, Guard
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_contracts.wallet_v1 import WalletSecretsDestroyed
from messaging import Tx

Key = tuple[UUID, UUID]
"""Tenant and the id of a wallet, or of an invoice where the function says so."""
GENESIS = "0" * 64

WALLET_COLUMNS = """
    w.tenant_id, w.id, w.invoice_id, w.rail, w.chain_id, w.address, w.state, w.expires_at,
    w.watch_window_s, w.watch_until, w.restarts, w.settled, w.closures, w.legal_hold_reason,
    w.guard, w.asked, w.created_at, w.drained_at, w.destroying_at, w.destroyed_at, w.version
"""
_LOCK_BY_ID = f"""
    select {WALLET_COLUMNS} from ephemeral_wallet w
    where (w.tenant_id, w.id) in (select * from unnest($1::uuid[], $2::uuid[]))
    order by w.id for update
"""
_LOCK_BY_INVOICE = f"""
    select {WALLET_COLUMNS} from ephemeral_wallet w
    where (w.tenant_id, w.invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
    order by w.id for update
"""


def wallet_of(row: Any) -> Wallet:
    """A wallet from a row of `WALLET_COLUMNS`."""
    values = dict(row)
    guard = values["guard"]
    values["state"] = State(values["state"])
    values["closures"] = tuple(_closure_of(item) for item in values["closures"])
    values["guard"] = None if guard is None else Guard.model_validate(guard)
    return Wallet(**values)


def _closure_of(item: dict[str, Any]) -> Closure:
    return Closure(
        datetime.fromisoformat(item["at"]),
        item["reason"],
        UUID(item["booking_id"]) if item["booking_id"] else None,
        datetime.fromisoformat(item["until"]) if item["until"] else None,
    )


def _closures_json(closures: Sequence[Closure]) -> str:
    """As text: asyncpg would take a list inside a list for another dimension of the array."""
    return json.dumps(
        [
            {
                "at": item.at.isoformat(),
                "reason": item.reason,
                "booking_id": str(item.booking_id) if item.booking_id else None,
                "until": item.until.isoformat() if item.until else None,
            }
            for item in closures
        ]
    )


def _split(keys: Iterable[Key]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(set(keys))
    return [tenant for tenant, _ in ordered], [other for _, other in ordered]


async def lock_wallets(tx: Tx, keys: Iterable[Key]) -> list[Wallet]:
    """These wallets (tenant, wallet), those there are, locked in the order of their ids."""
    return [wallet_of(row) for row in await tx.fetch(_LOCK_BY_ID, *_split(keys))]


async def lock_wallets_of_invoices(tx: Tx, keys: Iterable[Key]) -> list[Wallet]:
    """The wallets of these invoices (tenant, invoice), locked in the order of their ids."""
    return [wallet_of(row) for row in await tx.fetch(_LOCK_BY_INVOICE, *_split(keys))]


async def insert_wallets(tx: Tx, wallets: Sequence[Wallet]) -> set[UUID]:
    """Insert wallets; the ids of those that were not there."""
    ordered = sorted(wallets, key=lambda wallet: wallet.id)
    rows = await tx.fetch(
        """
        insert into ephemeral_wallet (tenant_id, id, invoice_id, rail, chain_id, address, state,
                                      expires_at, watch_window_s, created_at, version)
        select tenant_id, id, invoice_id, rail, chain_id, address, state, expires_at,
               watch_window_s, created_at, 1
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[],
                    $7::text[], $8::timestamptz[], $9::int[], $10::timestamptz[])
            as new(tenant_id, id, invoice_id, rail, chain_id, address, state, expires_at,
                   watch_window_s, created_at)
        on conflict do nothing returning id
        """,
        [wallet.tenant_id for wallet in ordered],
        [wallet.id for wallet in ordered],
        [wallet.invoice_id for wallet in ordered],
        [wallet.rail for wallet in ordered],
        [wallet.chain_id for wallet in ordered],
        [wallet.address for wallet in ordered],
        [wallet.state for wallet in ordered],
        [wallet.expires_at for wallet in ordered],
        [wallet.watch_window_s for wallet in ordered],
        [wallet.created_at for wallet in ordered],
    )
    return {row["id"] for row in rows}


async def update_wallets(tx: Tx, wallets: Sequence[Wallet]) -> None:
    """Save wallets that are locked by this transaction."""
    await tx.execute(
        """
        update ephemeral_wallet w
        set state = new.state, expires_at = new.expires_at, watch_until = new.watch_until,
            restarts = new.restarts, settled = new.settled, closures = new.closures::jsonb,
            legal_hold = new.hold is not null, legal_hold_reason = new.hold, guard = new.guard,
            asked = new.asked, drained_at = new.drained_at, destroying_at = new.destroying_at,
            destroyed_at = new.destroyed_at, version = new.version
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                    $6::smallint[], $7::boolean[], $8::text[], $9::text[], $10::jsonb[],
                    $11::int[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
                    $15::bigint[])
            as new(tenant_id, id, state, expires_at, watch_until, restarts, settled, closures,
                   hold, guard, asked, drained_at, destroying_at, destroyed_at, version)
        where w.tenant_id = new.tenant_id and w.id = new.id
        """,
        [wallet.tenant_id for wallet in wallets],
        [wallet.id for wallet in wallets],
        [wallet.state for wallet in wallets],
        [wallet.expires_at for wallet in wallets],
        [wallet.watch_until for wallet in wallets],
        [wallet.restarts for wallet in wallets],
        [wallet.settled for wallet in wallets],
        [_closures_json(wallet.closures) for wallet in wallets],
        [wallet.legal_hold_reason for wallet in wallets],
        [None if wallet.guard is None else wallet.guard.model_dump() for wallet in wallets],
        [wallet.asked for wallet in wallets],
        [wallet.drained_at for wallet in wallets],
        [wallet.destroying_at for wallet in wallets],
        [wallet.destroyed_at for wallet in wallets],
        [wallet.version for wallet in wallets],
    )


async def insert_payments(tx: Tx, payments: Iterable[Payment]) -> None:
    """Give payments nothing was known of their row, so that it can be locked."""
    ordered = sorted(payments, key=lambda payment: payment.id)
    await tx.execute(
        """
        insert into wallet_payment (tenant_id, id, wallet_id, invoice_id, amount_minor, asset)
        select tenant_id, id, wallet_id, invoice_id, amount_minor, asset
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[])
            as new(tenant_id, id, wallet_id, invoice_id, amount_minor, asset)
        on conflict (tenant_id, id) do nothing
        """,
        [payment.tenant_id for payment in ordered],
        [payment.id for payment in ordered],
        [payment.wallet_id for payment in ordered],
        [payment.invoice_id for payment in ordered],
        [payment.amount.amount_minor for payment in ordered],
        [payment.amount.asset for payment in ordered],
    )


async def lock_payments(tx: Tx, wallets: Iterable[Key]) -> list[Payment]:
    """Every payment to these wallets (tenant, wallet), locked in the order of their ids."""
    rows = await tx.fetch(
        """
        select p.tenant_id, p.id, p.wallet_id, p.invoice_id, p.amount_minor, p.asset, p.state,
               p.first_seen_at, p.finals, p.booking_ids, p.booked_sequence, p.policy, p.late
        from wallet_payment p
        where (p.tenant_id, p.wallet_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by p.id for update
        """,
        *_split(wallets),
    )
    return [payment_of(row) for row in rows]


def payment_of(row: Any) -> Payment:
    """A payment from its row."""
    values = dict(row)
    amount = Amount(amount_minor=values.pop("amount_minor"), asset=values.pop("asset"))
    state, late = values.pop("state"), values.pop("late")
    values["booking_ids"] = tuple(values["booking_ids"])
    return Payment(
        amount=amount,
        state=None if state is None else PaymentState(state),
        late=None if late is None else Lateness(late),
        **values,
    )


async def update_payments(tx: Tx, payments: Sequence[Payment]) -> None:
    """Save payments that are locked by this transaction."""
    await tx.execute(
        """
        update wallet_payment p
        set amount_minor = new.amount_minor, asset = new.asset, state = new.state,
            first_seen_at = new.first_seen_at, finals = new.finals,
            booking_ids = array(select jsonb_array_elements_text(new.bookings::jsonb)::uuid),
            booked_sequence = new.booked_sequence, policy = new.policy, late = new.late
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[],
                    $6::timestamptz[], $7::int[], $8::text[], $9::bigint[], $10::text[],
                    $11::text[])
            as new(tenant_id, id, amount_minor, asset, state, first_seen_at, finals, bookings,
                   booked_sequence, policy, late)
        where p.tenant_id = new.tenant_id and p.id = new.id
        """,
        [payment.tenant_id for payment in payments],
        [payment.id for payment in payments],
        [payment.amount.amount_minor for payment in payments],
        [payment.amount.asset for payment in payments],
        [payment.state for payment in payments],
        [payment.first_seen_at for payment in payments],
        [payment.finals for payment in payments],
        [json.dumps([str(b) for b in payment.booking_ids]) for payment in payments],
        [payment.booked_sequence for payment in payments],
        [payment.policy for payment in payments],
        [payment.late for payment in payments],
    )


async def upsert_evidence(tx: Tx, kind: str, facts: Sequence[Event]) -> None:
    """Keep what was said, the last of each wallet: facts of one wallet come in order."""
    last: dict[Key, Event] = {(f.tenant_id, f.aggregate_id): f for f in facts}
    ordered = sorted(last)
    await tx.execute(
        """
        insert into destruction_evidence (tenant_id, wallet_id, kind, fact)
        select tenant_id, wallet_id, $3, fact
        from unnest($1::uuid[], $2::uuid[], $4::jsonb[]) as new(tenant_id, wallet_id, fact)
        on conflict (tenant_id, wallet_id, kind) do update set fact = excluded.fact
        """,
        [tenant for tenant, _ in ordered],
        [wallet for _, wallet in ordered],
        kind,
        [last[key].model_dump(mode="json") for key in ordered],
    )


async def select_evidence(tx: Tx, keys: Iterable[Key]) -> dict[Key, Evidence]:
    """What is known of the destruction of these wallets (tenant, wallet)."""
    rows = await tx.fetch(
        """
        select e.tenant_id, e.wallet_id,
               max(e.fact::text) filter (where e.kind = 'secrets') as secrets,
               max(e.fact::text) filter (where e.kind = 'balance') as balance
        from destruction_evidence e
        where (e.tenant_id, e.wallet_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        group by e.tenant_id, e.wallet_id
        """,
        *_split(keys),
    )
    return {
        (row["tenant_id"], row["wallet_id"]): Evidence(
            row["secrets"] and WalletSecretsDestroyed.read(row["secrets"].encode()),
            row["balance"] and WalletBalanceObserved.read(row["balance"].encode()),
        )
        for row in rows
    }


async def lock_heads(tx: Tx, tenants: Collection[UUID]) -> dict[UUID, Head]:
    """The heads of these tenants' chains, begun where there is none, locked in order."""
    ordered = sorted(set(tenants))
    await tx.execute(
        """
        insert into certificate_chain (tenant_id, number, hash)
        select tenant_id, 0, $2 from unnest($1::uuid[]) as new(tenant_id) on conflict do nothing
        """,
        ordered,
        GENESIS,
    )
    rows = await tx.fetch(
        """
        select tenant_id, number, hash from certificate_chain where tenant_id = any($1)
        order by tenant_id for update
        """,
        ordered,
    )
    return {row["tenant_id"]: Head(row["number"], row["hash"]) for row in rows}


async def update_heads(tx: Tx, heads: dict[UUID, Head]) -> None:
    """Save heads that are locked by this transaction."""
    await tx.execute(
        """
        update certificate_chain c set number = new.number, hash = new.hash
        from unnest($1::uuid[], $2::bigint[], $3::text[]) as new(tenant_id, number, hash)
        where c.tenant_id = new.tenant_id
        """,
        list(heads),
        [head.number for head in heads.values()],
        [head.hash for head in heads.values()],
    )


async def insert_certificates(tx: Tx, made: Sequence[tuple[Wallet, Certificate]]) -> None:
    """Write certificates to the log; a number, wallet or hash a second time is refused by it."""
    await tx.execute(
        """
        insert into destruction_log (tenant_id, number, wallet_id, invoice_id, hash,
                                     previous_hash, certificate, destroyed_at)
        select tenant_id, number, wallet_id, invoice_id, hash, previous_hash, certificate,
               destroyed_at
        from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                    $7::jsonb[], $8::timestamptz[])
            as new(tenant_id, number, wallet_id, invoice_id, hash, previous_hash, certificate,
                   destroyed_at)
        """,
        [wallet.tenant_id for wallet, _ in made],
        [certificate.body.certificate_number for _, certificate in made],
        [wallet.id for wallet, _ in made],
        [wallet.invoice_id for wallet, _ in made],
        [certificate.hash for _, certificate in made],
        [certificate.body.previous_hash for _, certificate in made],
        [certificate.model_dump(mode="json") for _, certificate in made],
        [certificate.body.destroyed_at for _, certificate in made],
    )
