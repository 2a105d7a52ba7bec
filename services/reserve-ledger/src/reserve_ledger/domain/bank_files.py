"""What a bank's file says, whatever its format, and the proof that it adds up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from invoiceos_contracts.base import MAX_MINOR
from money import MoneyError, asset
from money.decimal_text import power_of_ten, split_decimal

LINES_MAX: Final = 50_000
"""Entries in one file, at most."""
NAMELESS: Final = frozenset({"", "NONREF", "NOTPROVIDED", "NOREF"})
"""What banks write where they have no reference."""


class BadFile(ValueError):
    """A file that cannot be taken, and the line of it that says why."""

    def __init__(self, line: int, reason: str) -> None:
        """Name the line, counted from 1."""
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True, slots=True)
class BankEntry:
    """One movement on the account."""

    line: int
    """Where the file has it, counted from 1."""
    amount_minor: int
    """Positive came in, negative went out."""
    booked_on: date
    reference: str | None = None
    """The bank's own name for it."""
    related: str | None = None
    """What the payer or the provider calls it."""
    memo: str | None = None
    group: str | None = None
    """The batch it was part of."""

    @property
    def at(self) -> datetime:
        """The day it was booked, as a moment."""
        return datetime.combine(self.booked_on, time(), UTC)


@dataclass(frozen=True, slots=True)
class BankStatement:
    """What one account did between two balances."""

    name: str
    """What the bank calls the statement."""
    account: str
    asset: str
    opened_on: date
    closed_on: date
    opening_minor: int
    closing_minor: int
    entries: Sequence[BankEntry]

    @property
    def starts_at(self) -> datetime:
        """The beginning of its first day."""
        first = min([self.opened_on, *(entry.booked_on for entry in self.entries)])
        return datetime.combine(first, time(), UTC)

    @property
    def ends_at(self) -> datetime:
        """The end of its last day."""
        last = max([self.closed_on, *(entry.booked_on for entry in self.entries)])
        return datetime.combine(last, time(23, 59, 59), UTC)


def proved(statement: BankStatement, line: int) -> BankStatement:
    """The statement, where opening and entries are the closing; raises `BadFile` elsewhere."""
    if not statement.name or not statement.account:
        raise BadFile(line, "a statement names itself and its account")
    moved = sum(entry.amount_minor for entry in statement.entries)
    if statement.opening_minor + moved != statement.closing_minor:
        reason = (
            f"opening {statement.opening_minor} and entries {moved} are not the closing "
            f"{statement.closing_minor}, in minor units of {statement.asset}"
        )
        raise BadFile(line, reason)
    return statement


def minor_of(text: str, asset_code: str, line: int) -> int:
    """Minor units of an amount in plain decimals, exactly; raises `BadFile`."""
    try:
        exponent = asset(asset_code).exponent
    except MoneyError as error:
        raise BadFile(line, f"{asset_code[:12]!r} is no asset we know") from error
    found = split_decimal(text)
    if found is None:
        raise BadFile(line, f"{text[:40]!r} is no amount")
    scaled, decimals = found
    step = power_of_ten(abs(decimals - exponent))
    if decimals > exponent:
        scaled, left = divmod(scaled, step)
        if left:
            raise BadFile(line, f"{text[:40]!r} is finer than {asset_code} is divided")
    else:
        scaled *= step
    if abs(scaled) > MAX_MINOR:
        raise BadFile(line, f"{text[:40]!r} is more than an amount may be")
    return scaled


def named(text: str | None, length_max: int = 200) -> str | None:
    """A reference without blanks around it; None for what only says that there is none."""
    cleaned = " ".join((text or "").split())
    return None if cleaned.upper() in NAMELESS else cleaned[:length_max]


def bounded(entries: Sequence[BankEntry]) -> Sequence[BankEntry]:
    """The entries, where there are not too many; raises `BadFile`."""
    if len(entries) > LINES_MAX:
        raise BadFile(entries[LINES_MAX].line, f"a file has {LINES_MAX} entries at most")
    return entries
