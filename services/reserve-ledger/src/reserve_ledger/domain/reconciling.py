"""Reconciliation: what two sides say of the same money is matched in passes, the rest is classed.

Pure and linear in the number of items but for sorting. Each pass says why it believes that two
items are one movement; what no pass believes is a break, and each break has one class.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Pass(StrEnum):
    """What made a match."""

    REFERENCE = "reference"
    MEMO = "memo_and_amount"
    WINDOW = "amount_and_window"
    GROUP = "many_to_one"


class BreakClass(StrEnum):
    """What is wrong, by the table of the design."""

    TIMING = "timing"
    AMOUNT = "amount"
    MISSING_IN_LEDGER = "missing_in_ledger"
    MISSING_EXTERNALLY = "missing_externally"
    DUPLICATE = "duplicate"
    MISDIRECTED = "misdirected"
    STATUS = "status"
    SUPPLY = "supply"


SEVERITY: Final = {
    BreakClass.TIMING: "low",
    BreakClass.AMOUNT: "medium",
    BreakClass.MISSING_IN_LEDGER: "medium",
    BreakClass.MISSING_EXTERNALLY: "high",
    BreakClass.DUPLICATE: "high",
    BreakClass.MISDIRECTED: "medium",
    BreakClass.STATUS: "medium",
    BreakClass.SUPPLY: "high",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One movement as one side has it."""

    key: str
    """Names it on its side; unique there."""
    reference: str | None
    amount_minor: int
    at: datetime
    memo: str | None = None
    group: str | None = None
    status: str | None = None
    account: str | None = None
    """Where the book has it; of the other side, where it should be. None where that is open."""
    elsewhere: bool = False
    """Of another account: staged only so that what was booked there by mistake is found."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient and how exact a source is."""

    sla: timedelta
    """How long the counterpart may take."""
    window: timedelta = timedelta(minutes=10)
    """How far apart two records of one movement may lie when only their amount speaks for it."""


@dataclass(frozen=True, slots=True)
class Match:
    """Items that are one movement, and why."""

    by: Pass
    external: tuple[str, ...]
    ledger: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Break:
    """Something that does not agree."""

    kind: BreakClass
    external: str | None
    ledger: str | None
    reference: str | None
    amount_minor: int
    """What the other side says more than the ledger."""
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a reconciliation."""

    matches: Sequence[Match]
    breaks: Sequence[Break]


class _Sides:
    """What is still open on both sides, in the order in which it came."""

    def __init__(self, external: Iterable[Item], ledger: Iterable[Item]) -> None:
        self.external = {item.key: item for item in sorted(external, key=_order)}
        self.ledger = {item.key: item for item in sorted(ledger, key=_order)}
        self.matches: list[Match] = []
        self.breaks: list[Break] = []

    def match(self, by: Pass, outside: Sequence[Item], inside: Sequence[Item], why: str) -> None:
        """Take these out: they are one."""
        self.matches.append(
            Match(by, tuple(i.key for i in outside), tuple(i.key for i in inside), why)
        )
        self._take(outside, inside)

    def disagree(
        self, kind: BreakClass, outside: Item | None, inside: Item | None, why: str
    ) -> None:
        """Take these out: they belong together, or stand alone, and something is wrong."""
        self.breaks.append(_break(kind, outside, inside, why))
        self._take([outside] if outside else [], [inside] if inside else [])

    def _take(self, outside: Iterable[Item], inside: Iterable[Item]) -> None:
        for item in outside:
            self.external.pop(item.key, None)
        for item in inside:
            self.ledger.pop(item.key, None)


def reconcile(
    external: Iterable[Item], ledger: Iterable[Item], *, rules: Rules, cut_off: datetime
) -> Result:
    """Match what belongs together and class what does not, as of a moment."""
    sides = _Sides(external, ledger)
    _by_reference(sides)
    _by_memo(sides)
    _by_group(sides)
    _by_window(sides, rules.window)
    _class_rest(sides, rules, cut_off)
    return Result(sides.matches, sides.breaks)


def _order(item: Item) -> tuple[datetime, str]:
    return item.at, item.key


def _by_reference(sides: _Sides) -> None:
    """The same reference is the same movement, whatever else is said of it."""
    inside = _grouped(sides.ledger.values(), lambda item: item.reference)
    outside = _grouped(sides.external.values(), lambda item: item.reference)
    for reference, found in outside.items():
        partners = inside.get(reference, [])
        # Those whose amounts agree find each other first; a second one of the same is a duplicate.
        for item in list(found):
            same = next((p for p in partners if p.amount_minor == item.amount_minor), None)
            if same is not None:
                partners.remove(same)
                found.remove(item)
                _agreeing(sides, item, same, reference)
        for item, partner in zip(list(found), list(partners), strict=False):
            why = f"both are {reference}, one by {item.amount_minor - partner.amount_minor}"
            sides.disagree(BreakClass.AMOUNT, item, partner, why)
            found.remove(item)
            partners.remove(partner)
        _second_ones(sides, reference, found, partners, known=reference in inside)


def _agreeing(sides: _Sides, item: Item, same: Item, reference: str) -> None:
    if item.account and same.account and item.account != same.account:
        why = f"both are {reference}, booked on {same.account} instead of {item.account}"
        sides.disagree(BreakClass.MISDIRECTED, item, same, why)
    elif item.status and same.status and item.status != same.status:
        why = f"{reference} is {item.status} there and {same.status} here"
        sides.disagree(BreakClass.STATUS, item, same, why)
    else:
        sides.match(Pass.REFERENCE, [item], [same], f"both are {reference}")


def _second_ones(
    sides: _Sides, reference: str, found: list[Item], partners: list[Item], *, known: bool
) -> None:
    """What is left of a reference that stands on both sides, or twice on one, is there twice."""
    for item in found if known else found[1:]:
        sides.disagree(BreakClass.DUPLICATE, item, None, f"{reference} is listed again")
    for item in partners:
        sides.disagree(BreakClass.DUPLICATE, None, item, f"{reference} is booked again")


def _by_memo(sides: _Sides) -> None:
    """The same memo and amount, the nearest in time; one that lies elsewhere is misdirected."""
    inside = _grouped(sides.ledger.values(), _memo_key)
    for item in list(sides.external.values()):
        partners = inside.get(_memo_key(item) or "")
        if not partners:
            continue
        partner = min(partners, key=lambda each: abs(each.at - item.at))
        partners.remove(partner)
        if item.account and partner.account and item.account != partner.account:
            why = f"memo {item.memo} and amount agree, booked on {partner.account}"
            sides.disagree(BreakClass.MISDIRECTED, item, partner, why)
        else:
            sides.match(Pass.MEMO, [item], [partner], f"memo {item.memo} and amount agree")


def _memo_key(item: Item) -> str | None:
    return None if item.memo is None else f"{item.memo}\0{item.amount_minor}"


def _by_group(sides: _Sides) -> None:
    """A payout or batch on one side is the sum of its parts on the other."""
    for mine, theirs in ((sides.external, sides.ledger), (sides.ledger, sides.external)):
        parts = _grouped(theirs.values(), lambda item: item.group)
        whole = [item for item in mine.values() if item.group in parts]
        for item in whole:
            members = [m for m in parts[item.group or ""] if m.key in theirs]
            if len(members) < 2 or sum(m.amount_minor for m in members) != item.amount_minor:
                continue
            outside, inside = ([item], members) if mine is sides.external else (members, [item])
            why = f"{len(members)} parts of {item.group} make the amount"
            sides.match(Pass.GROUP, outside, inside, why)


def _by_window(sides: _Sides, window: timedelta) -> None:
    """The same amount within minutes: each takes the earliest that is left and near enough.

    An item with a reference that the other side could have named is not matched by amount alone:
    only those without one are, on either side.
    """
    free: dict[int, list[Item]] = defaultdict(list)
    for item in sides.ledger.values():
        free[item.amount_minor].append(item)
    for item in list(sides.external.values()):
        partners = free.get(item.amount_minor, [])
        first = bisect_left(partners, item.at - window, key=lambda each: each.at)
        for place in range(first, len(partners)):
            partner = partners[place]
            if partner.at > item.at + window:
                break
            if item.reference is not None and partner.reference is not None:
                continue
            if item.account and partner.account and item.account != partner.account:
                continue
            del partners[place]
            apart = abs(partner.at - item.at)
            sides.match(Pass.WINDOW, [item], [partner], f"the same amount, {apart} apart")
            break


def _class_rest(sides: _Sides, rules: Rules, cut_off: datetime) -> None:
    """What stands alone is late, or missing on the other side."""
    for item in list(sides.external.values()):
        young = cut_off - item.at <= rules.sla
        kind = BreakClass.TIMING if young else BreakClass.MISSING_IN_LEDGER
        sides.disagree(kind, item, None, _alone("there", cut_off - item.at, rules))
    for item in list(sides.ledger.values()):
        if item.elsewhere:
            continue
        young = cut_off - item.at <= rules.sla
        kind = BreakClass.TIMING if young else BreakClass.MISSING_EXTERNALLY
        sides.disagree(kind, None, item, _alone("in the book", cut_off - item.at, rules))


def _alone(where: str, age: timedelta, rules: Rules) -> str:
    return f"only {where}, {age} old; the other side may take {rules.sla}"


def _break(kind: BreakClass, outside: Item | None, inside: Item | None, why: str) -> Break:
    first = outside or inside
    assert first is not None
    return Break(
        kind=kind,
        external=outside.key if outside else None,
        ledger=inside.key if inside else None,
        reference=first.reference,
        amount_minor=(outside.amount_minor if outside else 0)
        - (inside.amount_minor if inside else 0),
        since=min(item.at for item in (outside, inside) if item is not None),
        why=why,
    )


def _grouped(items: Iterable[Item], key: Callable[[Item], str | None]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        name = key(item)
        if name is not None:
            found.setdefault(name, []).append(item)
    return found


@dataclass(frozen=True, slots=True)
class RollForward:
    """Opening and movements make closing, on one side."""

    side: str
    opening_minor: int
    movements_minor: int
    closing_minor: int | None

    @property
    def off_minor(self) -> int | None:
        """By how much they do not; None where the closing is not known."""
        if self.closing_minor is None:
            return None
        return self.opening_minor + self.movements_minor - self.closing_minor


def bridged(external: RollForward, ledger: RollForward, breaks: Iterable[Break]) -> int:
    """What is left between the movements of both sides beside the breaks; 0 is proved."""
    explained = sum(each.amount_minor for each in breaks)
    return external.movements_minor - ledger.movements_minor - explained
