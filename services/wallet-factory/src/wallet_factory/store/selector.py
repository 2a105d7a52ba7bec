"""SQL of the selector: its log, its labels, its model."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.evidence import GENESIS, canonical, digest
from invoiceos_contracts.ids import PLATFORM
from messaging import Database, Tx
from wallet_factory.domain.learning import Label, Learned
from wallet_factory.domain.selector import Model

HORIZON = timedelta(days=30)
"""After this long without regret a decision was right."""
LABELS_AT_ONCE = 1000
NO_MODEL = "no_model"


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision or an outcome that is added to its tenant's log."""

    tenant_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A decision of which it is not known yet whether it will be regretted."""

    tenant_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    customer_id: UUID | None
    rule: str
    features: Mapping[str, int]
    outcome: str | None = None
    """Why its wallet ended; None while it has not, or never will."""


async def append(tx: Tx, entries: Sequence[Entry]) -> None:
    """Add entries to their tenants' logs, each with the hash of the one before."""
    ordered = sorted(entries, key=lambda e: (e.tenant_id, e.invoice_id, e.wallet_id))
    tenants = sorted({entry.tenant_id for entry in ordered})
    await tx.execute(
        """
        insert into selector_log_head (tenant_id, sequence, hash)
        select tenant_id, 0, $2 from unnest($1::uuid[]) as new(tenant_id) on conflict do nothing
        """,
        tenants,
        GENESIS,
    )
    heads = {
        row["tenant_id"]: (row["sequence"], row["hash"])
        for row in await tx.fetch(
            """
            select tenant_id, sequence, hash from selector_log_head where tenant_id = any($1)
            order by tenant_id for update
            """,
            tenants,
        )
    }
    rows = []
    for entry in ordered:
        sequence, previous = heads[entry.tenant_id]
        hashed = hash_of(entry.wallet_id, entry.kind, entry.body, sequence + 1, previous)
        rows.append((sequence + 1, hashed, previous))
        heads[entry.tenant_id] = (sequence + 1, hashed)
    await _insert_entries(tx, ordered, rows)
    await tx.execute(
        """
        update selector_log_head h set sequence = new.sequence, hash = new.hash
        from unnest($1::uuid[], $2::bigint[], $3::text[]) as new(tenant_id, sequence, hash)
        where h.tenant_id = new.tenant_id
        """,
        tenants,
        [heads[tenant][0] for tenant in tenants],
        [heads[tenant][1] for tenant in tenants],
    )


def hash_of(
    wallet_id: UUID, kind: str, body: Mapping[str, Any], sequence: int, previous: str
) -> str:
    """The hash of an entry: of what it says, of its place, and of the one before it."""
    said = canonical({"wallet_id": str(wallet_id), "kind": kind, "body": dict(body)})
    return digest(said, str(sequence).encode(), previous.encode())


async def _insert_entries(
    tx: Tx, entries: Sequence[Entry], rows: Sequence[tuple[int, str, str]]
) -> None:
    await tx.execute(
        """
        insert into selector_log (tenant_id, sequence, wallet_id, invoice_id, kind, body, hash,
                                  previous_hash, logged_at)
        select tenant_id, sequence, wallet_id, invoice_id, kind, body::jsonb, hash, previous_hash,
               $9
        from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::text[],
                    $7::text[], $8::text[])
            as new(tenant_id, sequence, wallet_id, invoice_id, kind, body, hash, previous_hash)
        """,
        [entry.tenant_id for entry in entries],
        [sequence for sequence, _, _ in rows],
        [entry.wallet_id for entry in entries],
        [entry.invoice_id for entry in entries],
        [entry.kind for entry in entries],
        [json.dumps(dict(entry.body)) for entry in entries],
        [hashed for _, hashed, _ in rows],
        [previous for _, _, previous in rows],
        tx.now,
    )


async def insert_open(tx: Tx, items: Sequence[Open]) -> None:
    """Remember decisions until it is known what came of them."""
    await tx.execute(
        """
        insert into selector_open (tenant_id, wallet_id, invoice_id, customer_id, rule, features,
                                   decided_at)
        select tenant_id, wallet_id, invoice_id, customer_id, rule, features::jsonb, $7
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
            as new(tenant_id, wallet_id, invoice_id, customer_id, rule, features)
        """,
        [item.tenant_id for item in items],
        [item.wallet_id for item in items],
        [item.invoice_id for item in items],
        [item.customer_id for item in items],
        [item.rule for item in items],
        [json.dumps(dict(item.features)) for item in items],
        tx.now,
    )


_TAKEN = """
    returning o.tenant_id, o.wallet_id, o.invoice_id, o.customer_id, o.rule, o.features, o.outcome
"""


async def save_outcomes(tx: Tx, ends: Mapping[tuple[UUID, UUID], str]) -> None:
    """Note how wallets (tenant, wallet) of open decisions ended; the first end stays."""
    ordered = sorted(ends)
    await tx.execute(
        """
        update selector_open o set outcome = e.outcome
        from unnest($1::uuid[], $2::uuid[], $3::text[]) as e(tenant_id, wallet_id, outcome)
        where o.tenant_id = e.tenant_id and o.wallet_id = e.wallet_id and o.outcome is null
        """,
        [tenant for tenant, _ in ordered],
        [wallet for _, wallet in ordered],
        [ends[key][:40] for key in ordered],
    )


async def take_wallets(tx: Tx, keys: Iterable[tuple[UUID, UUID]]) -> list[Open]:
    """Take the open decisions about these wallets (tenant, wallet)."""
    ordered = sorted(set(keys))
    return await _take(
        tx,
        f"""
        delete from selector_open o using unnest($1::uuid[], $2::uuid[]) as k(tenant_id, wallet_id)
        where o.tenant_id = k.tenant_id and o.wallet_id = k.wallet_id {_TAKEN}
        """,
        [tenant for tenant, _ in ordered],
        [wallet for _, wallet in ordered],
    )


async def take_payers(tx: Tx, keys: Iterable[tuple[UUID, UUID, UUID]]) -> list[Open]:
    """Take the open decisions about earlier invoices to these payers (tenant, payer, invoice)."""
    ordered = sorted(set(keys))
    return await _take(
        tx,
        f"""
        delete from selector_open o
        using unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k(tenant_id, customer_id, invoice_id)
        where o.tenant_id = k.tenant_id and o.customer_id = k.customer_id
          and o.invoice_id <> k.invoice_id and o.decided_at > $4 {_TAKEN}
        """,
        *([key[place] for key in ordered] for place in range(3)),
        tx.now - HORIZON,
    )


async def take_old(tx: Tx) -> list[Open]:
    """Take decisions that nobody has regretted in time."""
    return await _take(
        tx,
        f"""
        delete from selector_open o using (
            select tenant_id, wallet_id from selector_open where decided_at < $1
            order by decided_at limit $2 for update skip locked) k
        where o.tenant_id = k.tenant_id and o.wallet_id = k.wallet_id {_TAKEN}
        """,
        tx.now - HORIZON,
        LABELS_AT_ONCE,
    )


async def _take(tx: Tx, sql: str, *arguments: object) -> list[Open]:
    found = {row["wallet_id"]: Open(**row) for row in await tx.fetch(sql, *arguments)}
    return [found[wallet] for wallet in sorted(found)]


async def insert_labels(tx: Tx, items: Sequence[tuple[Open, bool, str]]) -> None:
    """Store labels (decision, whether persistent was right, why) that nobody has learned yet."""
    await tx.execute(
        """
        insert into selector_label (tenant_id, wallet_id, rule, features, persistent_was_right,
                                    cause, labelled_at)
        select tenant_id, wallet_id, rule, features::jsonb, said, cause, $7
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bool[], $6::text[])
            as new(tenant_id, wallet_id, rule, features, said, cause)
        on conflict do nothing
        """,
        [item.tenant_id for item, _, _ in items],
        [item.wallet_id for item, _, _ in items],
        [item.rule for item, _, _ in items],
        [json.dumps(dict(item.features)) for item, _, _ in items],
        [said for _, said, _ in items],
        [cause for _, _, cause in items],
        tx.now,
    )


async def lock_learning(tx: Tx) -> None:
    """One learner at a time: whoever comes second sees what the first has learned."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('selector.learner', 29))")


async def latest(source: Tx | Database) -> tuple[int, Learned] | None:
    """The newest version of the model."""
    rows = await source.fetch(
        "select version, state from selector_model order by version desc limit 1"
    )
    return (rows[0]["version"], Learned(**rows[0]["state"])) if rows else None


async def new_labels(tx: Tx) -> tuple[list[tuple[UUID, UUID]], list[Label]]:
    """The next labels that nobody has learned, oldest first, and their keys (tenant, wallet)."""
    rows = await tx.fetch(
        """
        select tenant_id, wallet_id, rule, features, persistent_was_right, labelled_at
        from selector_label where number is null order by labelled_at, wallet_id limit $1
        """,
        LABELS_AT_ONCE,
    )
    return [(row["tenant_id"], row["wallet_id"]) for row in rows], [_label_of(r) for r in rows]


async def number_labels(tx: Tx, first: int, keys: Sequence[tuple[UUID, UUID]]) -> None:
    """Number labels in the order in which they were learned, from this number on."""
    await tx.execute(
        """
        update selector_label s set number = $1 + n.place - 1
        from unnest($2::uuid[], $3::uuid[]) with ordinality as n(tenant_id, wallet_id, place)
        where s.tenant_id = n.tenant_id and s.wallet_id = n.wallet_id
        """,
        first,
        [tenant for tenant, _ in keys],
        [wallet for _, wallet in keys],
    )


async def learned_labels(tx: Tx) -> list[Label]:
    """Every label that was learned, in its order: the model can be made again from them."""
    rows = await tx.fetch(
        """
        select rule, features, persistent_was_right, labelled_at from selector_label
        where number is not null order by number
        """
    )
    return [_label_of(row) for row in rows]


def _label_of(row: Any) -> Label:
    at: datetime = row["labelled_at"]
    return Label(row["rule"], row["features"], row["persistent_was_right"], at)


async def insert_model(tx: Tx, version: int, state: Learned) -> None:
    """Store a version of the model."""
    await tx.execute(
        """
        insert into selector_model (version, labels, state, hash, created_at)
        values ($1, $2, $3, $4, $5)
        """,
        version,
        state.labels,
        state.plain(),
        state.hash,
        tx.now,
    )


async def select_stopped(tx: Tx, tenants: Iterable[UUID]) -> frozenset[UUID]:
    """Those of these tenants, and of all (the platform), for whom the model is switched off."""
    rows = await tx.fetch(
        "select tenant_id from selector_switch where engaged and tenant_id = any($1)",
        sorted({*tenants, PLATFORM}),
    )
    return frozenset(row["tenant_id"] for row in rows)


def loaded(found: tuple[int, Learned] | None) -> Model | None:
    """What decides, from what is stored."""
    return None if found is None else found[1].model(found[0])
