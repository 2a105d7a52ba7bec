"""Statements of banks as they are shown."""

from uuid import UUID

from pydantic import AwareDatetime

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import AssetCode, Shape
from messaging import Tx


class StatementView(Shape):
    """A statement that a bank sent as a file."""

    id: UUID
    source: str
    name: str
    """What the bank calls it."""
    account: str
    asset: AssetCode
    format: str
    file_hash: str
    """SHA-256 of the file it came in, hexadecimal."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    opening_minor: int
    closing_minor: int
    line_count: int
    imported_by: str
    imported_at: AwareDatetime


async def statements(
    tx: Tx, *, source: str | None, before: UUID | None, limit: int
) -> list[StatementView]:
    """Those that came by file, the newest first."""
    rows = await tx.fetch(
        """
        select id, source, name, account, asset, format, encode(file_hash, 'hex') as file_hash,
               starts_at, ends_at, opening_minor::bigint as opening_minor,
               closing_minor::bigint as closing_minor, line_count, imported_by, imported_at
        from external_statement
        where tenant_id = $1 and format <> 'event' and ($2::text is null or source = $2)
          and ($3::uuid is null or id < $3)
        order by id desc limit $4
        """,
        PLATFORM,
        source,
        before,
        limit,
    )
    return [StatementView(**row) for row in rows]
