"""Balances by address: now, as they were booked by a moment, and as they count at a moment."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from chassis.http import BadCursor
from invoiceos_contracts.base import AssetCode, Shape
from messaging import Tx
from reserve_ledger.domain.chart import CHART
from reserve_ledger.queries.accounts import sequence_at

_OWN: Final = [account.address for account in CHART.values()]


class AddressBalance(Shape):
    """One address in one asset."""

    address: str
    account: str
    asset: AssetCode
    balance_minor: int
    """Debits less credits, in minor units: what is owed to somebody is negative."""
    held_minor: int | None
    """Held back of it; only where the balance is that of now."""
    available_minor: int | None
    """Of what is owed: what can be taken; only where the balance is that of now."""


class AddressTotal(Shape):
    """All addresses of the prefix together, in one asset."""

    asset: AssetCode
    balance_minor: int


class AddressBalances(Shape):
    """Balances of the addresses that begin alike."""

    sequence: int
    """The last transaction that counts."""
    items: tuple[AddressBalance, ...]
    totals: tuple[AddressTotal, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which addresses, and as of when."""

    prefix: str = ""
    asset: str | None = None
    as_of: datetime | None = None
    effective_at: datetime | None = None


_FOUND: Final = """
    with late as (
        select p.account, p.address, p.asset,
               sum(case when t.sequence > $5 then p.amount_minor else -p.amount_minor end) as minor
        from ledger_transaction t join posting p using (tenant_id, sequence)
        where t.tenant_id = $1 and t.effective_at is not null and t.sequence <= $4
          and case when t.sequence > $5 then t.effective_at <= $6 else t.effective_at > $6 end
        group by p.account, p.address, p.asset
    ), found as (
        select a.address, a.code, a.asset, a.held_minor,
               case when $7 then a.debit_minor - a.credit_minor
                    when a.address = any($8::text[]) then coalesce((
                        select coalesce(p.address_balance_minor, p.balance_minor) from posting p
                        where p.tenant_id = a.tenant_id and p.account = a.code
                          and p.asset = a.asset and p.address is null and p.sequence <= $5
                        order by p.sequence desc, p.line desc limit 1), 0)
                    else coalesce((
                        select p.address_balance_minor from posting p
                        where p.tenant_id = a.tenant_id and p.address = a.address
                          and p.asset = a.asset and p.sequence <= $5
                        order by p.sequence desc, p.line desc limit 1), 0)
               end + coalesce((
                   select l.minor from late l
                   where l.account = a.code and l.asset = a.asset
                     and coalesce(l.address, case when a.address = any($8::text[])
                                                  then a.address end) = a.address), 0)
                   as balance_minor
        from account a
        where a.tenant_id = $1 and a.address >= $2 and a.address < $2 || '~'
          and ($3::text is null or a.asset = $3)
    )
"""


async def balances_by_address(
    tx: Tx, tenant_id: UUID, asked: Asked, *, cursor: str | None, limit: int
) -> AddressBalances:
    """In order of the addresses; what was booked later but counts earlier is told apart."""
    last = await sequence_at(tx, tenant_id, asked.as_of)
    by_then = last
    if asked.effective_at is not None:
        by_then = min(last, await sequence_at(tx, tenant_id, asked.effective_at))
    now = asked.as_of is None and asked.effective_at is None
    arguments = [
        *(tenant_id, asked.prefix, asked.asset, last, by_then, asked.effective_at, now, _OWN),
    ]
    rows = await tx.fetch(
        _FOUND
        + """
        select address, code, asset, held_minor, balance_minor::bigint from found
        where (address, asset) > ($9, $10) order by address, asset limit $11
        """,
        *arguments,
        *_place(cursor),
        limit + 1,
    )
    totals = await tx.fetch(
        _FOUND
        + """
        select asset, sum(balance_minor)::text as minor from found group by asset order by asset
        """,
        *arguments,
    )
    shown = rows[:limit]
    return AddressBalances(
        sequence=last,
        items=tuple(_balance(row, now=now) for row in shown),
        totals=tuple(
            AddressTotal(asset=row["asset"], balance_minor=int(row["minor"])) for row in totals
        ),
        next_cursor=_cursor(shown[-1]) if len(rows) > limit else None,
    )


def _balance(row: Any, *, now: bool) -> AddressBalance:
    owed = -row["balance_minor"] - row["held_minor"]
    return AddressBalance(
        address=row["address"],
        account=row["code"],
        asset=row["asset"],
        balance_minor=row["balance_minor"],
        held_minor=row["held_minor"] if now else None,
        available_minor=owed if now and row["code"].startswith("2") else None,
    )


def _cursor(row: Any) -> str:
    place = f"{row['address']} {row['asset']}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error) as error:
        raise BadCursor from error
    address, _, asset = text.partition(" ")
    if not asset.isalnum() or "\x00" in address:
        raise BadCursor
    return address, asset
