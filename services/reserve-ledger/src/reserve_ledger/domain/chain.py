"""The chain: each transaction of a tenant carries the hash of the one before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from chassis.evidence import GENESIS, canonical, digest
from reserve_ledger.domain.books import Entry
from reserve_ledger.domain.templates import Leg

AccountKey = tuple[str, str]
"""Account code and asset."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a tenant's chain stands."""

    tenant_id: UUID
    sequence: int
    hash: str
    posted_at: datetime
    """Time for what is posted next: never before what was posted last."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What was ever debited and credited to an account, in minor units."""

    debit_minor: int = 0
    credit_minor: int = 0

    @property
    def net_minor(self) -> int:
        """Debits less credits."""
        return self.debit_minor - self.credit_minor

    def plus(self, amount_minor: int) -> "Balance":
        """After one more posting."""
        if amount_minor > 0:
            return replace(self, debit_minor=self.debit_minor + amount_minor)
        return replace(self, credit_minor=self.credit_minor - amount_minor)


@dataclass(frozen=True, slots=True)
class Posted:
    """An entry with its place in the chain."""

    entry: Entry
    sequence: int
    posted_at: datetime
    previous_hash: str
    hash: str
    balances: tuple[int, ...]
    """Balance of each leg's account after it, in minor units."""


@dataclass(slots=True)
class Ledger:
    """One tenant's chain and balances while a batch is posted."""

    head: Head
    balances: dict[AccountKey, Balance]

    def post(self, entry: Entry) -> Posted:
        """Append an entry; raises AssertionError unless it sums to zero for each asset."""
        assert is_balanced(entry.legs), entry
        after = []
        for leg in entry.legs:
            key = (leg.account, leg.asset)
            self.balances[key] = self.balances.get(key, Balance()).plus(leg.amount_minor)
            after.append(self.balances[key].net_minor)
        sequence = self.head.sequence + 1
        posted = Posted(
            entry=entry,
            sequence=sequence,
            posted_at=self.head.posted_at,
            previous_hash=self.head.hash,
            hash=hash_of(entry, sequence, self.head.posted_at, self.head.hash),
            balances=tuple(after),
        )
        self.head = replace(self.head, sequence=sequence, hash=posted.hash)
        return posted


def is_balanced(legs: Sequence[Leg]) -> bool:
    """Whether there are legs, and they sum to zero for each asset."""
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount_minor
    return bool(sums) and not any(sums.values())


def hash_of(entry: Entry, sequence: int, posted_at: datetime, previous_hash: str) -> str:
    """SHA-256 over the hash before and the transaction in its canonical form, hexadecimal."""
    return digest(bytes.fromhex(previous_hash), canonical(_plain(entry, sequence, posted_at)))


def _plain(entry: Entry, sequence: int, posted_at: datetime) -> dict[str, object]:
    return {
        "tenant_id": str(entry.tenant_id),
        "id": str(entry.id),
        "sequence": sequence,
        "template": str(entry.template),
        "cause_event_id": str(entry.cause_event_id),
        "invoice_id": _text(entry.invoice_id),
        "payment_id": _text(entry.payment_id),
        "reverses": _text(entry.reverses),
        "posted_at": posted_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "postings": [[leg.account, leg.asset, leg.amount_minor] for leg in entry.legs],
    }


def _text(value: UUID | None) -> str | None:
    return str(value) if value is not None else None


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where the books are not what they were."""

    sequence: int
    reason: str


NO_BALANCES: Final[Mapping[AccountKey, int]] = {}


class Walk:
    """Recomputes a stretch of a chain from its rows, transaction after transaction."""

    def __init__(
        self,
        sequence: int = 0,
        previous_hash: str = GENESIS,
        balances: Mapping[AccountKey, int] = NO_BALANCES,
    ) -> None:
        """Start behind a transaction that is trusted; at the beginning where none is named."""
        self.sequence = sequence
        self.hash = previous_hash
        self._balances = dict(balances)

    @property
    def balances(self) -> dict[AccountKey, int]:
        """Balances after the last transaction, those that are not zero, in minor units."""
        return {key: minor for key, minor in self._balances.items() if minor}

    def follow(self, rows: Iterable[Posted]) -> Fault | None:
        """Go on through these transactions; the first fault, if any."""
        for row in rows:
            reason = self._wrong_with(row)
            if reason:
                return Fault(self.sequence + 1, reason)
            self.sequence, self.hash = row.sequence, row.hash
        return None

    def _wrong_with(self, row: Posted) -> str:
        if row.sequence != self.sequence + 1:
            return "missing"
        if row.previous_hash != self.hash:
            return "not_chained"
        if row.hash != hash_of(row.entry, row.sequence, row.posted_at, row.previous_hash):
            return "altered"
        if not is_balanced(row.entry.legs):
            return "unbalanced"
        for leg, balance in zip(row.entry.legs, row.balances, strict=True):
            key = (leg.account, leg.asset)
            self._balances[key] = self._balances.get(key, 0) + leg.amount_minor
            if self._balances[key] != balance:
                return "balance_altered"
        return ""
