"""MT940 of SWIFT: bank statements as tagged text, read by the library `mt-940`.

The library is given text and never a name, which it would open.
"""

import logging
import re
from datetime import date
from typing import Any, Final

from mt940.models import Transactions
from mt940.options import Options

from reserve_ledger.domain.bank_files import (
    BadFile,
    BankEntry,
    BankStatement,
    bounded,
    minor_of,
    named,
    proved,
)

# It logs what it cannot read: accounts and names of people, which are nobody's who reads a log.
logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)
_START: Final = re.compile(r"(?m)^(?=:20:)")
_ENTRY: Final = re.compile(r"(?m)^:61:")
_OPENING: Final = ("final_opening_balance", "intermediate_opening_balance", "opening_balance")
_CLOSING: Final = ("final_closing_balance", "intermediate_closing_balance", "closing_balance")


def read(data: bytes) -> list[BankStatement]:
    """Every statement of the file; raises `BadFile`."""
    text = _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    found: list[BankStatement] = []
    line = 1
    for block in _START.split(text):
        if block.startswith(":20:"):
            found.append(_statement(block, line))
        line += block.count("\n")
    if not found:
        raise BadFile(1, "there is no statement: none begins with :20:")
    return found


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")
    if "\0" in text:
        raise BadFile(text[: text.index("\0")].count("\n") + 1, "this is no text")
    return text


def _statement(block: str, line: int) -> BankStatement:
    parsed = _parsed(block, line)
    opening, closing = (_balance(parsed.data, kinds, line) for kinds in (_OPENING, _CLOSING))
    asset = opening[1]
    if closing[1] != asset:
        raise BadFile(line, "opening and closing are not in one currency")
    lines = [line + block[: m.start()].count("\n") for m in _ENTRY.finditer(block)]
    if len(lines) != len(parsed):
        raise BadFile(line, f"{len(lines)} entries are tagged and {len(parsed)} can be read")
    account = str(parsed.data.get("account_identification") or "").strip()
    number = str(parsed.data.get("statement_number") or "").strip()
    page = str(parsed.data.get("sequence_number") or "1").strip()
    statement = BankStatement(
        # Banks number anew each year, and count the pages of a statement.
        name=f"{closing[2].year}-{number}/{page}" if number else "",
        account=account[:64],
        asset=asset,
        opened_on=opening[2],
        closed_on=closing[2],
        opening_minor=opening[0],
        closing_minor=closing[0],
        entries=bounded(
            [_entry(each.data, asset, at) for each, at in zip(parsed, lines, strict=True)]
        ),
    )
    return proved(statement, line)


def _parsed(block: str, line: int) -> Transactions:
    parsed = Transactions(options=Options.all())
    try:
        parsed.parse(block)
    except (RuntimeError, ValueError, ArithmeticError, TypeError, KeyError) as error:
        value = str(error.args[2]) if len(error.args) > 2 else ""
        first = value.partition("\n")[0]
        place = block.find(first) if first else 0
        at = line + block[: max(place, 0)].count("\n")
        raise BadFile(at, f"{first[:60]!r} cannot be read" if first else "no MT940") from error
    return parsed


def _balance(data: Any, kinds: tuple[str, ...], line: int) -> tuple[int, str, date]:
    for kind in kinds:
        found = data.get(kind)
        if found is not None and found.amount is not None:
            asset = str(found.amount.currency)
            return minor_of(format(found.amount.amount, "f"), asset, line), asset, _day(found.date)
    raise BadFile(line, f"the {kinds[0].replace('_', ' ').removeprefix('final ')} is missing")


def _day(found: Any) -> date:
    return date(found.year, found.month, found.day)


def _entry(data: Any, asset: str, line: int) -> BankEntry:
    details = (data.get("purpose"), data.get("transaction_details"), data.get("extra_details"))
    memo = " ".join(" ".join(str(text).split()) for text in details if text)
    return BankEntry(
        line=line,
        amount_minor=minor_of(format(data["amount"].amount, "f"), asset, line),
        booked_on=_day(data.get("entry_date") or data["date"]),
        reference=named(data.get("bank_reference")),
        related=named(data.get("customer_reference")),
        memo=memo[:500] or None,
        group=named(data.get("end_to_end_reference")),
    )
