"""The books as files, read page by page at one sequence: CSV, and XLSX in constant memory."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import xlsxwriter

from invoiceos_contracts import encode
from messaging import Database
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.chart import CHART
from reserve_ledger.errors import AccountNotFound, PeriodReversed
from reserve_ledger.queries.accounts import LINE_MAX, Period, sequence_before

ROWS_AT_ONCE: Final = 1000
SHEET_ROWS_MAX: Final = 1_000_000
"""A sheet holds 1,048,576 rows; what is longer goes on in the next one."""
EXACT_MAX: Final = 2**53
"""A sheet counts in doubles: whole numbers beyond this are written as text, to the unit."""
STATEMENT: Final = (
    *("sequence", "line", "transaction_id", "template", "reference", "invoice_id", "payment_id"),
    *("address", "posted_at", "effective_at", "amount_minor", "balance_minor"),
)
TRANSACTIONS: Final = (
    *("sequence", "line", "transaction_id", "template", "reference", "reverses", "invoice_id"),
    *("payment_id", "posted_at", "effective_at", "account", "address", "asset", "amount_minor"),
    "balance_minor",
)
BALANCES: Final = ("account", "address", "asset", "balance_minor", "held_minor")
Cells = Sequence[object]
Pages = AsyncIterator[Sequence[Cells]]
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PREFIXES: Final = {
    "transaction_id": "txn",
    "reverses": "txn",
    "invoice_id": "inv",
    "payment_id": "pay",
}
_POSTINGS: Final = """
    select p.sequence, p.line, p.transaction_id,
           t.template || '.v' || t.template_version as template, t.reference, t.reverses,
           t.invoice_id, t.payment_id, p.account, p.address, p.asset,
           t.posted_at, coalesce(t.effective_at, t.posted_at) as effective_at, p.amount_minor,
           p.balance_minor
    from posting p join ledger_transaction t using (tenant_id, sequence)
    where p.tenant_id = $1 and (p.sequence, p.line) > ($2, $3) and p.sequence <= $4
"""
_ORDER: Final = " order by p.sequence, p.line limit $5"


def check(code: str, period: Period) -> None:
    """Raise `AccountNotFound` or `PeriodReversed` before the first byte is sent."""
    if code not in CHART:
        raise AccountNotFound
    if period.start and period.end and period.end < period.start:
        raise PeriodReversed


async def statement(database: Database, account: tuple[UUID, str, str], period: Period) -> Pages:
    """The postings of an account in a period, oldest first; `account` has code and asset."""
    tenant_id, code, asset = account
    sql = _POSTINGS + " and p.account = $6 and p.asset = $7" + _ORDER
    async for rows in _postings(database, tenant_id, period, sql, code, asset):
        yield [_cells(row, STATEMENT) for row in rows]


async def transactions(database: Database, tenant_id: UUID, period: Period) -> Pages:
    """Every posting of a period, oldest first."""
    async for rows in _postings(database, tenant_id, period, _POSTINGS + _ORDER):
        yield [_cells(row, TRANSACTIONS) for row in rows]


async def _postings(
    database: Database, tenant_id: UUID, period: Period, sql: str, *more: str
) -> AsyncIterator[list[Any]]:
    async with database.transaction([tenant_id]) as tx:
        first = await sequence_before(tx, tenant_id, period.start) if period.start else 0
        last = await sequence_before(tx, tenant_id, period.end)
    place = (first, LINE_MAX)
    while True:
        async with database.transaction([tenant_id]) as tx:
            rows = await tx.fetch(sql, tenant_id, *place, last, ROWS_AT_ONCE, *more)
        if rows:
            yield rows
        if len(rows) < ROWS_AT_ONCE:
            return
        place = (rows[-1]["sequence"], rows[-1]["line"])


async def balances(database: Database, tenant_id: UUID) -> Pages:
    """What stands at each address now, in their order."""
    place = ("", "")
    while True:
        async with database.transaction([tenant_id]) as tx:
            rows = await tx.fetch(
                """
                select code as account, address, asset, debit_minor - credit_minor as balance_minor,
                       held_minor
                from account where tenant_id = $1 and (address, asset) > ($2, $3)
                order by address, asset limit $4
                """,
                tenant_id,
                *place,
                ROWS_AT_ONCE,
            )
        if rows:
            yield [_cells(row, BALANCES) for row in rows]
        if len(rows) < ROWS_AT_ONCE:
            return
        place = (rows[-1]["address"], rows[-1]["asset"])


def _cells(row: Any, columns: Sequence[str]) -> Cells:
    return [_cell(row, name) for name in columns]


def _cell(row: Any, name: str) -> object:
    value = row[name]
    if name == "address":
        return value or own_address(row["account"])
    if value is None:
        return ""
    if name in _PREFIXES:
        return encode(_PREFIXES[name], value)
    return value.isoformat().replace("+00:00", "Z") if name.endswith("_at") else value


async def as_csv(columns: Sequence[str], pages: Pages) -> AsyncIterator[bytes]:
    """RFC 4180; text that would begin a formula begins with an apostrophe."""
    yield (",".join(columns) + "\r\n").encode()
    async for rows in pages:
        text = io.StringIO()
        csv.writer(text).writerows([[_plain(cell) for cell in cells] for cells in rows])
        yield text.getvalue().encode()


def _plain(cell: object) -> object:
    begins = isinstance(cell, str) and cell.startswith(_FORMULA)
    return f"'{cell}" if begins else cell


async def as_xlsx(columns: Sequence[str], pages: Pages) -> AsyncIterator[bytes]:
    """A workbook, written row by row to a file and sent from there: none of it is kept in memory.

    Text is text, so nothing in it is a formula or a link.
    """
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        path = Path(folder) / "ledger.xlsx"
        book = _Book(path, columns)
        async for rows in pages:
            await asyncio.to_thread(book.write, rows)
        await asyncio.to_thread(book.close)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 65_536):
                yield chunk


class _Book:
    """The workbook, and where in it the next row goes."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "tmpdir": str(path.parent),
        }
        self._book = xlsxwriter.Workbook(str(path), options)
        self._columns = columns
        self._begin()

    def _begin(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._row = 0
        self._put(self._columns)

    def write(self, rows: Sequence[Cells]) -> None:
        for cells in rows:
            if self._row > SHEET_ROWS_MAX:
                self._begin()
            self._put(cells)

    def _put(self, cells: Cells) -> None:
        for place, cell in enumerate(cells):
            if isinstance(cell, int) and abs(cell) <= EXACT_MAX:
                self._sheet.write_number(self._row, place, cell)
            else:
                self._sheet.write_string(self._row, place, str(cell))
        self._row += 1

    def close(self) -> None:
        self._book.close()
