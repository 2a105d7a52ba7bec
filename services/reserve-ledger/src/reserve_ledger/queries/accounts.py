"""Balances, trial balance and account statements, as of any moment.

A moment is first turned into a sequence. Entries never change and time follows sequence, so all
that is read for one sequence agrees, and the same sequence always gives the same answer.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime

from chassis.http import cursor_of
from invoiceos_contracts.base import AssetCode, Shape
from invoiceos_contracts.ids import InvoiceId, PaymentId, TransactionId
from messaging import Tx
from reserve_ledger.domain.catalogue import Template
from reserve_ledger.domain.chain import AccountKey
from reserve_ledger.domain.chart import CHART, AccountKind, Side
from reserve_ledger.errors import AccountNotFound, PeriodReversed

LINE_BITS: Final = 15
LINE_MAX: Final = 2**LINE_BITS - 1
SEQUENCE_MAX: Final = 2**63 - 1


class AccountBalance(Shape):
    """One account in one asset."""

    account: str
    name: str
    kind: AccountKind
    normal_side: Side
    asset: AssetCode
    balance_minor: int
    """Debits less credits, in minor units: what is owed to somebody is negative."""


class Balances(Shape):
    """All balances as of one moment."""

    as_of: AwareDatetime | None
    """The moment asked for; null is now."""
    sequence: int
    """The last transaction that counts; the same sequence always has the same balances."""
    balances: tuple[AccountBalance, ...]


class TrialLine(Shape):
    """One account in one asset, on the side where it stands."""

    account: str
    name: str
    asset: AssetCode
    debit_minor: int
    credit_minor: int


class TrialTotal(Shape):
    """Both sides of one asset."""

    asset: AssetCode
    debit_minor: int
    credit_minor: int
    balanced: bool


class TrialBalance(Shape):
    """Every account on its side; both sides are equal for each asset."""

    as_of: AwareDatetime | None
    sequence: int
    lines: tuple[TrialLine, ...]
    totals: tuple[TrialTotal, ...]


class StatementEntry(Shape):
    """One posting on the account."""

    sequence: int
    line: int
    transaction_id: TransactionId
    template: str
    invoice_id: InvoiceId | None
    payment_id: PaymentId | None
    posted_at: AwareDatetime
    amount_minor: int
    """Positive is a debit, negative a credit."""
    balance_minor: int
    """The account's balance after it."""


class AccountStatement(Shape):
    """What happened on an account from one moment to just before another."""

    account: str
    name: str
    asset: AssetCode
    opening_balance_minor: int
    closing_balance_minor: int
    items: tuple[StatementEntry, ...]
    """Oldest first."""
    next_cursor: str | None
    """Null on the last page."""


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment (with it) to another (without it); None is open."""

    start: datetime | None
    end: datetime | None


async def balances(tx: Tx, tenant_id: UUID, as_of: datetime | None, asset: str | None) -> Balances:
    """Balances as of a moment, all of them or those of one asset."""
    sequence = await sequence_at(tx, tenant_id, as_of)
    found = await balances_at(tx, tenant_id, sequence, asset)
    return Balances(
        as_of=as_of,
        sequence=sequence,
        balances=tuple(
            AccountBalance(
                account=code,
                name=CHART[code].name,
                kind=CHART[code].kind,
                normal_side=CHART[code].normal,
                asset=of,
                balance_minor=minor,
            )
            for (code, of), minor in found.items()
        ),
    )


async def trial_balance(tx: Tx, tenant_id: UUID, as_of: datetime | None) -> TrialBalance:
    """Every account on the side where it stands, and the sums of both sides."""
    sequence = await sequence_at(tx, tenant_id, as_of)
    found = await balances_at(tx, tenant_id, sequence, None)
    sides: dict[str, list[int]] = {}
    for (_, asset), minor in found.items():
        sums = sides.setdefault(asset, [0, 0])
        sums[0] += max(minor, 0)
        sums[1] += max(-minor, 0)
    return TrialBalance(
        as_of=as_of,
        sequence=sequence,
        lines=tuple(
            TrialLine(
                account=code,
                name=CHART[code].name,
                asset=asset,
                debit_minor=max(minor, 0),
                credit_minor=max(-minor, 0),
            )
            for (code, asset), minor in found.items()
        ),
        totals=tuple(
            TrialTotal(
                asset=asset, debit_minor=debit, credit_minor=credit, balanced=debit == credit
            )
            for asset, (debit, credit) in sorted(sides.items())
        ),
    )


async def account_statement(
    tx: Tx, account: tuple[UUID, str, str], period: Period, *, after: UUID | None, limit: int
) -> AccountStatement:
    """An account's postings in a period, oldest first, from behind a place on.

    `account` is tenant, code and asset. Raises `AccountNotFound` and `PeriodReversed`.
    """
    tenant_id, code, asset = account
    if code not in CHART:
        raise AccountNotFound
    if period.start and period.end and period.end < period.start:
        raise PeriodReversed
    first = await sequence_before(tx, tenant_id, period.start) if period.start else 0
    last = await sequence_before(tx, tenant_id, period.end)
    rows = await tx.fetch(
        """
        select p.sequence, p.line, p.transaction_id, t.template, t.template_version, t.invoice_id,
               t.payment_id, t.posted_at, p.amount_minor, p.balance_minor
        from posting p join ledger_transaction t using (tenant_id, sequence)
        where p.tenant_id = $1 and p.account = $2 and p.asset = $3
          and (p.sequence, p.line) > ($4, $5) and p.sequence <= $6
        order by p.sequence, p.line
        limit $7
        """,
        tenant_id,
        code,
        asset,
        *max(_split_place(after), (first, LINE_MAX)),
        last,
        limit + 1,
    )
    shown = rows[:limit]
    return AccountStatement(
        account=code,
        name=CHART[code].name,
        asset=asset,
        opening_balance_minor=await _balance_of(tx, account, first),
        closing_balance_minor=await _balance_of(tx, account, last),
        items=tuple(_statement_entry(row) for row in shown),
        next_cursor=None
        if len(rows) <= limit
        else cursor_of(place_of(shown[-1]["sequence"], shown[-1]["line"])),
    )


def place_of(sequence: int, line: int) -> UUID:
    """A posting's place on its account, in the form of an id: what a cursor holds."""
    return UUID(int=sequence << LINE_BITS | line)


def _split_place(place: UUID | None) -> tuple[int, int]:
    if place is None:
        return 0, 0
    return min(place.int >> LINE_BITS, SEQUENCE_MAX), place.int & LINE_MAX


async def sequence_at(tx: Tx, tenant_id: UUID, as_of: datetime | None) -> int:
    """The last transaction posted at or before a moment; 0 where there is none."""
    return await _last_posted(tx, tenant_id, as_of, "posted_at <= $2")


async def sequence_before(tx: Tx, tenant_id: UUID, moment: datetime | None) -> int:
    """The last transaction posted before a moment, or at all; 0 where there is none."""
    return await _last_posted(tx, tenant_id, moment, "posted_at < $2")


async def _last_posted(tx: Tx, tenant_id: UUID, moment: datetime | None, in_time: str) -> int:
    """Time follows sequence: of every 64th the last in time, and the few behind it.

    The bounds are sub-selects: what is computed may not be looked up under row security.
    """
    if moment is None:
        last = "select max(sequence) from ledger_transaction where tenant_id = $1"
        return await tx.fetchval(last, tenant_id) or 0
    found: int | None = await tx.fetchval(
        f"""
        with stretch as materialized (
            select first, first + 63 as last from (select coalesce((
                select sequence from ledger_transaction
                where tenant_id = $1 and {in_time} and sequence % 64 = 0
                order by posted_at desc, sequence desc limit 1), 0) as first) f
        )
        select sequence from ledger_transaction
        where tenant_id = $1 and {in_time}
          and sequence between (select first from stretch) and (select last from stretch)
        order by sequence desc limit 1
        """,
        tenant_id,
        moment,
    )
    return found or 0


async def balances_at(
    tx: Tx, tenant_id: UUID, sequence: int, asset: str | None
) -> dict[AccountKey, int]:
    """Balances after a transaction, from the postings: one look-up an account."""
    rows = await tx.fetch(
        """
        select b.account, b.asset, p.balance_minor
        from account_balance b
        cross join lateral (
            select balance_minor from posting
            where tenant_id = b.tenant_id and account = b.account and asset = b.asset
              and sequence <= $2
            order by sequence desc, line desc limit 1
        ) p
        where b.tenant_id = $1 and ($3::text is null or b.asset = $3)
        order by b.account, b.asset
        """,
        tenant_id,
        sequence,
        asset,
    )
    return {(row["account"], row["asset"]): row["balance_minor"] for row in rows}


async def _balance_of(tx: Tx, account: tuple[UUID, str, str], sequence: int) -> int:
    found: int | None = await tx.fetchval(
        """
        select balance_minor from posting
        where tenant_id = $1 and account = $2 and asset = $3 and sequence <= $4
        order by sequence desc, line desc limit 1
        """,
        *account,
        sequence,
    )
    return found or 0


def _statement_entry(row: Any) -> StatementEntry:
    return StatementEntry(
        sequence=row["sequence"],
        line=row["line"],
        transaction_id=row["transaction_id"],
        template=str(Template(row["template"], row["template_version"])),
        invoice_id=row["invoice_id"],
        payment_id=row["payment_id"],
        posted_at=row["posted_at"],
        amount_minor=row["amount_minor"],
        balance_minor=row["balance_minor"],
    )
