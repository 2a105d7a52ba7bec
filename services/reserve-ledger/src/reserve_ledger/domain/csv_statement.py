"""Bank statements as CSV: which column is what, the sender declares."""

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from reserve_ledger.domain.bank_files import (
    BadFile,
    BankEntry,
    BankStatement,
    bounded,
    minor_of,
    named,
    proved,
)

_FIELD_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """What the columns mean, and what a CSV does not say of itself."""

    name: str
    account: str
    asset: str
    opening_minor: int
    closing_minor: int
    date_column: str
    amount_column: str
    """Signed: what came in is positive."""
    reference_column: str | None = None
    related_column: str | None = None
    memo_column: str | None = None
    date_format: str = "%Y-%m-%d"
    delimiter: str = ","
    decimal_comma: bool = False
    encoding: str = "utf-8"


def read(data: bytes, mapping: CsvMapping) -> list[BankStatement]:
    """The one statement of the file; raises `BadFile`."""
    try:
        text = data.decode("utf-8-sig" if mapping.encoding == "utf-8" else mapping.encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadFile(line, f"this is no {mapping.encoding}") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True)
    entries = bounded(_entries(rows, mapping))
    days = [entry.booked_on for entry in entries]
    if not days:
        raise BadFile(1, "there is no entry")
    statement = BankStatement(
        name=mapping.name,
        account=mapping.account,
        asset=mapping.asset,
        opened_on=min(days),
        closed_on=max(days),
        opening_minor=mapping.opening_minor,
        closing_minor=mapping.closing_minor,
        entries=entries,
    )
    return [proved(statement, rows.line_num)]


def _entries(rows: "csv.DictReader[str]", mapping: CsvMapping) -> list[BankEntry]:
    declared = (
        *(mapping.date_column, mapping.amount_column, mapping.reference_column),
        *(mapping.related_column, mapping.memo_column),
    )
    found: list[BankEntry] = []
    try:
        missing = [name for name in declared if name and name not in (rows.fieldnames or ())]
        if missing:
            raise BadFile(1, f"there is no column {missing[0][:60]!r}")
        for row in rows:
            if None in row or None in row.values():
                raise BadFile(rows.line_num, "it has not as many columns as the head")
            found.append(_entry(row, rows.line_num, mapping))
    except csv.Error as error:
        raise BadFile(rows.reader.line_num, str(error)[:200]) from error
    return found


def _entry(row: dict[str, str], line: int, mapping: CsvMapping) -> BankEntry:
    def cell(column: str | None) -> str | None:
        return named(row[column][:_FIELD_MAX], 500) if column else None

    amount = row[mapping.amount_column].strip()
    if mapping.decimal_comma:
        amount = amount.replace(".", "").replace(",", ".")
    reference = cell(mapping.reference_column)
    related = cell(mapping.related_column)
    return BankEntry(
        line=line,
        amount_minor=minor_of(amount.removeprefix("+"), mapping.asset, line),
        booked_on=_day(row[mapping.date_column].strip(), mapping.date_format, line),
        reference=reference and reference[:200],
        related=related and related[:200],
        memo=cell(mapping.memo_column),
    )


def _day(text: str, form: str, line: int) -> date:
    try:
        # The day as the bank writes it: it has no zone.
        return datetime.strptime(text, form).date()  # noqa: DTZ007
    except ValueError as error:
        raise BadFile(line, f"{text[:40]!r} is no date as {form}") from error
