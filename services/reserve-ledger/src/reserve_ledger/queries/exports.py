"""An account's statement as a file, read page by page at one sequence."""

import csv
import io
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

from invoiceos_contracts import encode
from messaging import Database
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.chart import CHART
from reserve_ledger.errors import AccountNotFound, PeriodReversed
from reserve_ledger.queries.accounts import LINE_MAX, Period, sequence_before

ROWS_AT_ONCE: Final = 1000
COLUMNS: Final = (
    *("sequence", "line", "transaction_id", "template", "reference", "invoice_id", "payment_id"),
    *("address", "posted_at", "effective_at", "amount_minor", "balance_minor"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def check(code: str, period: Period) -> None:
    """Raise `AccountNotFound` or `PeriodReversed` before the first byte is sent."""
    if code not in CHART:
        raise AccountNotFound
    if period.start and period.end and period.end < period.start:
        raise PeriodReversed


async def statement_csv(
    database: Database, account: tuple[UUID, str, str], period: Period
) -> AsyncIterator[str]:
    """The postings of a period as CSV (RFC 4180), oldest first; `account` has code and asset."""
    tenant_id = account[0]
    async with database.transaction([tenant_id]) as tx:
        first = await sequence_before(tx, tenant_id, period.start) if period.start else 0
        last = await sequence_before(tx, tenant_id, period.end)
    yield ",".join(COLUMNS) + "\r\n"
    place = (first, LINE_MAX)
    while True:
        async with database.transaction([tenant_id]) as tx:
            rows = await tx.fetch(
                """
                select p.sequence, p.line, p.transaction_id,
                       t.template || '.v' || t.template_version as template, t.reference,
                       t.invoice_id, t.payment_id, p.address, t.posted_at,
                       coalesce(t.effective_at, t.posted_at) as effective_at, p.amount_minor,
                       p.balance_minor
                from posting p join ledger_transaction t using (tenant_id, sequence)
                where p.tenant_id = $1 and p.account = $2 and p.asset = $3
                  and (p.sequence, p.line) > ($4, $5) and p.sequence <= $6
                order by p.sequence, p.line limit $7
                """,
                *account,
                *place,
                last,
                ROWS_AT_ONCE,
            )
        if rows:
            yield _lines(account[1], rows)
        if len(rows) < ROWS_AT_ONCE:
            return
        place = (rows[-1]["sequence"], rows[-1]["line"])


def _lines(code: str, rows: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(code, row, name) for name in COLUMNS] for row in rows)
    return text.getvalue()


def _cell(code: str, row: Any, name: str) -> object:
    value = row[name]
    if name == "address":
        return value or own_address(code)
    if name == "reference":
        return f"'{value}" if value and value.startswith(_FORMULA) else value
    if value is None:
        return ""
    if name in _PREFIXES:
        return encode(_PREFIXES[name], value)
    return value.isoformat().replace("+00:00", "Z") if name.endswith("_at") else value


_PREFIXES: Final = {"transaction_id": "txn", "invoice_id": "inv", "payment_id": "pay"}
