"""What the other side says, line by line, and how it names our payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.provider_v1 import StatementLine
from messaging import Tx


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, or a page of one, as it is kept."""

    id: UUID
    source: str
    kind: str
    asset: str
    name: str
    format: str
    content_hash: bytes
    starts_at: datetime
    ends_at: datetime
    opening_minor: int | None
    closing_minor: int | None
    lines: Sequence[StatementLine]
    imported_by: str
    account: str | None = None
    """Whose it is, where a bank says so."""
    file_hash: bytes | None = None


async def insert_statement(tx: Tx, statement: Statement) -> bool:
    """Keep a statement and its lines; False where the same content is there already.

    Lines that an overlapping statement brought stay as they came first.
    """
    kept = await tx.fetchval(
        """
        insert into external_statement
            (tenant_id, id, source, kind, asset, name, format, content_hash, starts_at, ends_at,
             opening_minor, closing_minor, line_count, imported_by, imported_at, account, file_hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::numeric, $12::text::numeric,
                $13, $14, $15, $16, $17)
        on conflict (tenant_id, source, asset, content_hash) do nothing returning id
        """,
        PLATFORM,
        statement.id,
        statement.source,
        statement.kind,
        statement.asset,
        statement.name,
        statement.format,
        statement.content_hash,
        statement.starts_at,
        statement.ends_at,
        None if statement.opening_minor is None else str(statement.opening_minor),
        None if statement.closing_minor is None else str(statement.closing_minor),
        len(statement.lines),
        statement.imported_by,
        tx.now,
        statement.account,
        statement.file_hash,
    )
    if kept is not None:
        await _insert_lines(tx, statement)
    return kept is not None


async def _insert_lines(tx: Tx, statement: Statement) -> None:
    lines = statement.lines
    await tx.execute(
        """
        insert into external_line (tenant_id, source, asset, reference, ordinal, statement_id,
                                   amount_minor, at, related, memo, group_name, status)
        select $1, $2, $3, reference, ordinal, $4, amount_minor, at, related, memo, group_name,
               status
        from unnest($5::text[], $6::int[], $7::bigint[], $8::timestamptz[], $9::text[],
                    $10::text[], $11::text[], $12::text[])
            as l(reference, ordinal, amount_minor, at, related, memo, group_name, status)
        on conflict (tenant_id, source, asset, reference, ordinal) do nothing
        """,
        PLATFORM,
        statement.source,
        statement.asset,
        statement.id,
        [line.reference for line in lines],
        [line.ordinal for line in lines],
        [line.amount_minor for line in lines],
        [line.at for line in lines],
        [line.related for line in lines],
        [line.memo for line in lines],
        [line.group for line in lines],
        [line.status for line in lines],
    )


@dataclass(frozen=True, slots=True)
class Filed:
    """A statement of a bank that is there already."""

    id: UUID
    name: str
    asset: str
    account: str
    content_hash: bytes


async def select_filed(tx: Tx, source: str) -> list[Filed]:
    """What came by file of a source."""
    rows = await tx.fetch(
        """
        select id, name, asset, account, content_hash from external_statement
        where tenant_id = $1 and source = $2 and format <> 'event'
        """,
        PLATFORM,
        source,
    )
    return [Filed(**row) for row in rows]


async def select_listed(
    tx: Tx, source: str, asset: str, references: Sequence[str]
) -> list[StatementLine]:
    """Lines that are there under these references, in their order."""
    rows = await tx.fetch(
        """
        select reference, ordinal, amount_minor, at from external_line
        where tenant_id = $1 and source = $2 and asset = $3 and reference = any($4::text[])
        order by reference, ordinal
        """,
        PLATFORM,
        source,
        asset,
        list(set(references)),
    )
    return [StatementLine(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class Named:
    """A payment, and what its provider calls it."""

    tenant_id: UUID
    payment_id: UUID
    provider: str
    reference: str


async def insert_references(tx: Tx, named: Sequence[Named]) -> None:
    """Keep how providers name payments; the first name stays."""
    await tx.execute(
        """
        insert into payment_reference (tenant_id, payment_id, provider, reference)
        select distinct on (tenant_id, payment_id) tenant_id, payment_id, provider, reference
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
            as n(tenant_id, payment_id, provider, reference)
        on conflict (tenant_id, payment_id) do nothing
        """,
        [one.tenant_id for one in named],
        [one.payment_id for one in named],
        [one.provider for one in named],
        [one.reference for one in named],
    )
