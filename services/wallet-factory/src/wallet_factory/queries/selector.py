"""What can be read of the selector: its state, its decisions with reasons, its log's chain."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from chassis.evidence import GENESIS
from invoiceos_contracts.ids import PLATFORM, InvoiceId, WalletId
from messaging import Tx
from wallet_factory.domain.selector import Standing
from wallet_factory.store.selector import hash_of, latest

CHAIN_PAGE = 2000


class SwitchView(BaseModel):
    """A kill switch: while it is engaged rules alone decide."""

    engaged: bool
    reason: str | None
    switched_by: str | None
    switched_at: datetime | None


class SelectorView(BaseModel):
    """What decides the mode of wallets now."""

    decides: str
    """`rules`, or `model` where it is live and nobody has switched it off."""
    standing: Standing
    """`shadow`: the model is asked and not followed, until it has earned its place."""
    version: int | None
    hash: str | None
    labels: int
    week_labels: int
    week_loss_model: str
    """Mean log-loss over the last week; the smaller one knew better."""
    week_loss_rules: str
    reverted: int
    """How often the model lost its place because its losses drifted."""
    switch: SwitchView
    """Yours."""
    platform_switch: SwitchView
    """The platform's, for all."""


class SelectorEntryView(BaseModel):
    """An entry of your log: a decision with its reasons, or what came of one."""

    sequence: int
    wallet_id: WalletId
    invoice_id: InvoiceId
    kind: str
    body: dict[str, Any]
    hash: str
    previous_hash: str
    logged_at: datetime


class ChainView(BaseModel):
    """Whether your log is whole and unchanged."""

    valid: bool
    entries: int
    broken_at: int | None
    """The first entry that is not as it was written."""
    head: str


async def state(tx: Tx, tenant_id: UUID) -> SelectorView:
    """The selector as a tenant finds it."""
    found = await latest(tx)
    rows = await tx.fetch(
        """
        select tenant_id, engaged, reason, switched_by, switched_at from selector_switch
        where tenant_id = any($1)
        """,
        [tenant_id, PLATFORM],
    )
    switches = {row["tenant_id"]: _switch(row) for row in rows}
    off = SwitchView(engaged=False, reason=None, switched_by=None, switched_at=None)
    mine, platform = switches.get(tenant_id, off), switches.get(PLATFORM, off)
    learned = found[1] if found else None
    labels, model, rules = learned.losses() if learned else (0, 0.0, 0.0)
    standing = Standing(learned.standing) if learned else Standing.SHADOW
    live = standing is Standing.LIVE and not (mine.engaged or platform.engaged)
    return SelectorView(
        decides="model" if live else "rules",
        standing=standing,
        version=found[0] if found else None,
        hash=learned.hash if learned else None,
        labels=learned.labels if learned else 0,
        week_labels=labels,
        week_loss_model=f"{model:.4f}",
        week_loss_rules=f"{rules:.4f}",
        reverted=learned.reverted if learned else 0,
        switch=mine,
        platform_switch=platform,
    )


def _switch(row: Any) -> SwitchView:
    return SwitchView(**{name: row[name] for name in SwitchView.model_fields})


async def entries(
    tx: Tx, tenant_id: UUID, before: int | None, limit: int
) -> Sequence[SelectorEntryView]:
    """Entries of a tenant's log, the last first, one more than `limit` where there are more."""
    rows = await tx.fetch(
        """
        select sequence, wallet_id, invoice_id, kind, body, hash, previous_hash, logged_at
        from selector_log where tenant_id = $1 and ($2::bigint is null or sequence < $2)
        order by sequence desc limit $3
        """,
        tenant_id,
        before,
        limit + 1,
    )
    return [SelectorEntryView(**row) for row in rows]


async def verification(tx: Tx, tenant_id: UUID) -> ChainView:
    """Read a tenant's whole log and compute its chain again."""
    sequence, previous = 0, GENESIS
    while True:
        rows = await tx.fetch(
            """
            select sequence, wallet_id, kind, body, hash, previous_hash from selector_log
            where tenant_id = $1 and sequence > $2 order by sequence limit $3
            """,
            tenant_id,
            sequence,
            CHAIN_PAGE,
        )
        for row in rows:
            place = sequence + 1
            right = hash_of(row["wallet_id"], row["kind"], row["body"], place, previous)
            told = (row["sequence"], row["hash"], row["previous_hash"])
            if told != (place, right, previous):
                return ChainView(valid=False, entries=sequence, broken_at=place, head=previous)
            sequence, previous = place, right
        if len(rows) < CHAIN_PAGE:
            break
    head = await tx.fetchrow(
        "select sequence, hash from selector_log_head where tenant_id = $1", tenant_id
    )
    kept = (head["sequence"], head["hash"]) if head else (0, GENESIS)
    whole = kept == (sequence, previous)
    return ChainView(
        valid=whole, entries=sequence, broken_at=None if whole else sequence + 1, head=previous
    )


def entry_cursor(entry: SelectorEntryView) -> UUID:
    """Entries are listed by sequence: the number in the form of a cursor."""
    return UUID(int=entry.sequence)
