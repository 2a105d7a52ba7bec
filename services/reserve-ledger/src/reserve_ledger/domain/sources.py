"""The reserve by source: what each place says it holds, beside what the book says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.evidence import canonical, digest
from invoiceos_contracts.ledger_v1 import (
    LedgerHead,
    ObservedReserve,
    ReserveComparison,
    ReservePosition,
)
from reserve_ledger.domain.chain import AccountKey

CHAIN: Final = "chain"
SUPPLY: Final = "supply"
BOOK: Final = "book"
ACCOUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    CHAIN: ("1200", "1210", "1900"),
    SUPPLY: ("2600",),
    "provider": ("1110", "1300", "1310"),
    "bank": ("1100",),
}
"""What in the book a kind of source stands for."""
LEAVING: Final = ("2300", "2400")
"""Payouts and refunds that were promised and may be on their way."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place and asset, as it was last seen."""

    source_id: UUID
    source: str
    kind: str
    asset: str
    balance_minor: int
    opening_minor: int
    deposits_minor: int | None
    held_elsewhere_minor: int
    unannounced_minor: int
    block_number: int | None
    block_hash: str | None
    as_of: datetime

    @property
    def moved_minor(self) -> int:
        """What it holds beside what was there before."""
        return self.balance_minor + self.held_elsewhere_minor - self.opening_minor

    def stated(self) -> ObservedReserve:
        """As a statement has it."""
        return ObservedReserve(
            source=self.source,
            kind=self.kind,
            asset=self.asset,
            balance_minor=self.balance_minor,
            opening_minor=self.opening_minor,
            deposits_minor=self.deposits_minor,
            held_elsewhere_minor=self.held_elsewhere_minor,
            block_number=self.block_number,
            block_hash=self.block_hash,
            as_of=self.as_of,
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """An asset of a kind that does not agree."""

    kind: str
    asset: str
    difference_minor: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything a statement says beside the book."""

    sources: Sequence[Source] = ()
    booked: Mapping[str, int] | None = None
    """What payments alone put into the books, by asset."""
    breaches: Mapping[tuple[str, str], int] | None = None
    """Differences of the breaches that are open, by kind and asset."""
    frozen: bool = False

    def comparisons(self, totals: Mapping[AccountKey, int]) -> tuple[ReserveComparison, ...]:
        """Each kind and asset that something was observed of."""
        kinds = sorted({(source.kind, source.asset) for source in self.sources})
        return tuple(self._compared(kind, asset, totals) for kind, asset in kinds)

    def _compared(
        self, kind: str, asset: str, totals: Mapping[AccountKey, int]
    ) -> ReserveComparison:
        found = [s for s in self.sources if (s.kind, s.asset) == (kind, asset)]
        sign = -1 if kind == SUPPLY else 1
        book = sign * sum(totals.get((code, asset), 0) for code in ACCOUNTS[kind])
        observed = sum(source.moved_minor for source in found)
        known = [s.deposits_minor for s in found if s.deposits_minor is not None]
        in_transit = sum(known) - (self.booked or {}).get(asset, 0) if known else 0
        leaving = 0
        if kind == CHAIN:
            leaving = max(0, -sum(totals.get((code, asset), 0) for code in LEAVING))
        difference = observed - book - in_transit
        return ReserveComparison(
            kind=kind,
            asset=asset,
            book_minor=book,
            observed_minor=observed,
            in_transit_minor=in_transit,
            difference_minor=difference,
            leaving_minor=leaving,
            breached=kind in (CHAIN, SUPPLY) and not -leaving <= difference <= 0,
        )


def opening_of(kind: str, balance: int, held_elsewhere: int, deposits: int | None) -> int:
    """What was there before anything we know of, by the first observation.

    Supply has none: what circulates is ours from the first unit on. Nor have providers and banks:
    what lies there is compared with the book as it is.
    """
    return balance + held_elsewhere - deposits if kind == CHAIN and deposits is not None else 0


def breaches(
    positions: Iterable[ReservePosition], comparisons: Iterable[ReserveComparison]
) -> dict[tuple[str, str], int]:
    """What does not agree, by kind and asset."""
    book = {(BOOK, p.asset): p.difference_minor for p in positions if p.difference_minor}
    return book | {(c.kind, c.asset): c.difference_minor for c in comparisons if c.breached}


def signed_hash(
    ledger_head: str,
    ledgers: Sequence[LedgerHead],
    observed: Sequence[ObservedReserve],
    comparisons: Sequence[ReserveComparison],
) -> str:
    """What the second signature of a statement is over."""
    parts = [
        canonical([shape.model_dump(mode="json") for shape in shapes])
        for shapes in (ledgers, observed, comparisons)
    ]
    return digest(bytes.fromhex(ledger_head), *parts)
