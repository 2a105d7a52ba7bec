"""Bank statements by file: camt.053, MT940 and CSV with declared columns."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints, model_validator

from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import BulkRoute
from invoiceos_contracts.base import MAX_MINOR, AssetCode, Shape
from reserve_ledger.api.operators import Operator
from reserve_ledger.commands.file_statements import BankFile, Kept, file_statements
from reserve_ledger.domain import camt053, csv_statement, mt940_file
from reserve_ledger.domain.bank_files import BadFile, BankStatement
from reserve_ledger.domain.csv_statement import CsvMapping
from reserve_ledger.errors import StatementUnreadable
from reserve_ledger.queries import statements as queries
from reserve_ledger.queries.statements import StatementView

router = APIRouter(route_class=BulkRoute)
SourceName = Annotated[
    str, StringConstraints(pattern=r"^bank:[a-z0-9][a-z0-9-]{0,39}$", strict=True)
]
Minor = Annotated[int, Field(strict=True, ge=-MAX_MINOR, le=MAX_MINOR)]
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{2,11}$", strict=True)]
_FILE_MAX = 4 * 1_048_576


class FileFormat(StrEnum):
    """What the file is."""

    CAMT053 = "camt053"
    MT940 = "mt940"
    CSV = "csv"


class Encoding(StrEnum):
    """How the letters of a CSV are written."""

    UTF_8 = "utf-8"
    LATIN_1 = "iso-8859-1"
    WINDOWS = "windows-1252"


class Delimiter(StrEnum):
    """What stands between the columns of a CSV."""

    COMMA = ","
    SEMICOLON = ";"
    TAB = "\t"


class MappingBody(Input):
    """Which column of a CSV is what, and what the file does not say of itself."""

    name: ShortText
    """The bank's, or your own, name of this statement; it names it for good."""
    account: Annotated[str, StringConstraints(min_length=1, max_length=64, strict=True)]
    asset: Asset
    opening_minor: Minor
    closing_minor: Minor
    date_column: ShortText
    amount_column: ShortText
    """Signed: what came in is positive."""
    reference_column: ShortText | None = None
    related_column: ShortText | None = None
    memo_column: ShortText | None = None
    date_format: Annotated[
        str, StringConstraints(pattern=r"^(%[Ymdyb]|[-./ ])+$", max_length=20, strict=True)
    ] = "%Y-%m-%d"
    """Of `%Y`, `%y`, `%m`, `%b` and `%d`, with `-`, `.`, `/` or a blank between."""
    delimiter: Delimiter = Delimiter.COMMA
    decimal_comma: bool = False
    encoding: Encoding = Encoding.UTF_8


class StatementBody(Input):
    """A file as the bank gave it."""

    source: SourceName
    """The account, as the reserve names it; `bank:main`."""
    format: FileFormat
    content: Annotated[str, StringConstraints(min_length=1, max_length=6 * 1_048_576, strict=True)]
    """The file, byte for byte, in base64; 4 MiB at most."""
    mapping: MappingBody | None = None
    """For a CSV, and only for it."""

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if (self.format is FileFormat.CSV) != (self.mapping is not None):
            raise ValueError("a CSV needs its mapping, and nothing else has one")
        return self


class FiledView(Shape):
    """One statement of the file."""

    id: UUID
    name: str
    account: str
    asset: AssetCode
    opening_minor: int
    closing_minor: int
    entries: int
    already: bool
    """It was there before."""


class FiledViews(Shape):
    """Every statement of the file."""

    file_hash: str
    """SHA-256 of the file, hexadecimal."""
    items: tuple[FiledView, ...]


@router.post("/api/v1/reserves/bank-statements", response_model=FiledViews, status_code=201)
async def post_statements(body: StatementBody, write: Writing, caller: Operator) -> Response:
    """Take a bank's statements: proved to add up, kept as they came, once."""
    data = _bytes_of(body.content)
    # The longest file takes a second: other requests go on meanwhile.
    statements = await asyncio.to_thread(_read, body, data)
    file_hash = hashlib.sha256(data)
    file = BankFile(body.source, body.format, file_hash.digest(), statements, caller.actor)
    return await write(
        file_statements,
        file,
        answer=lambda kept: _filed(file_hash.hexdigest(), kept),
        status=201,
    )


def _bytes_of(content: str) -> bytes:
    try:
        data = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise StatementUnreadable("`content` is no base64", line=0) from error
    if len(data) > _FILE_MAX:
        raise StatementUnreadable(f"a file has {_FILE_MAX} bytes at most", line=0)
    return data


_READERS: dict[FileFormat, Callable[[bytes], list[BankStatement]]] = {
    FileFormat.CAMT053: camt053.read,
    FileFormat.MT940: mt940_file.read,
}


def _read(body: StatementBody, data: bytes) -> list[BankStatement]:
    try:
        if body.mapping is None:
            return _READERS[body.format](data)
        return csv_statement.read(data, CsvMapping(**body.mapping.model_dump(mode="json")))
    except BadFile as error:
        raise StatementUnreadable(str(error), line=error.line, reason=error.reason) from error


def _filed(file_hash: str, kept: Sequence[Kept]) -> FiledViews:
    return FiledViews(
        file_hash=file_hash,
        items=tuple(
            FiledView(
                id=one.id,
                name=one.said.name,
                account=one.said.account,
                asset=one.said.asset,
                opening_minor=one.said.opening_minor,
                closing_minor=one.said.closing_minor,
                entries=len(one.said.entries),
                already=one.already,
            )
            for one in kept
        ),
    )


@router.get("/api/v1/reserves/bank-statements", response_model=Page[StatementView])
async def get_statements(
    tx: Reading,
    caller: Operator,
    source: SourceName | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Statements that came by file, the newest first."""
    del caller
    found = await queries.statements(tx, source=source, before=after(cursor), limit=limit + 1)
    return page(found, limit, lambda view: view.id)
