"""The chain: each transaction of a tenant carries the hash of the one before it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from chassis.evidence import GENESIS, digest
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.catalogue import Leg
from reserve_ledger.domain.chart import CHART, AccountKind
from reserve_ledger.domain.entries import Entry

AccountKey = tuple[str, str]
"""Account code, or address, and asset."""
LIABILITIES: Final = frozenset(
    code for code, account in CHART.items() if account.kind is AccountKind.LIABILITY
)
HELD: Final = frozenset(
    code
    for code, account in CHART.items()
    if account.kind is AccountKind.ASSET and not account.may_owe
)
"""Codes on which nobody can have less than nothing."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a tenant's chain stands."""

    tenant_id: UUID
    sequence: int
    hash: str
    posted_at: datetime
    """Time for what is posted next: never before what was posted last."""


@dataclass(slots=True)
class Balance:
    """What was ever debited and credited, in minor units."""

    debit_minor: int = 0
    credit_minor: int = 0

    @property
    def net_minor(self) -> int:
        """Debits less credits."""
        return self.debit_minor - self.credit_minor

    def add(self, amount_minor: int) -> int:
        """Take one more posting; the balance after it."""
        if amount_minor > 0:
            self.debit_minor += amount_minor
        else:
            self.credit_minor -= amount_minor
        return self.debit_minor - self.credit_minor


@dataclass(slots=True)
class Account(Balance):
    """One address in one asset."""

    code: str = ""
    held_minor: int = 0
    """Promised by holds; never more than what is owed there."""

    @property
    def available_minor(self) -> int:
        """What may be taken from a liability."""
        return self.credit_minor - self.debit_minor - self.held_minor


@dataclass(frozen=True, slots=True)
class Posted:
    """An entry with its place in the chain."""

    entry: Entry
    sequence: int
    posted_at: datetime
    previous_hash: str
    hash: str
    balances: tuple[int, ...]
    """Balance of each leg's code after it, in minor units."""
    address_balances: tuple[int, ...]
    """Balance of each leg's address after it, in minor units."""


@dataclass(slots=True)
class Ledger:
    """One tenant's chain and balances while a batch is posted."""

    head: Head
    balances: dict[AccountKey, Balance]
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    """By address and asset."""

    def account(self, leg: Leg) -> Account:
        """The account of a leg; a new one where nothing was ever posted there."""
        key = (leg.address or own_address(leg.account), leg.asset)
        found = self.accounts.get(key)
        if found is None:
            found = self.accounts[key] = Account(code=leg.account)
        return found

    def shortfall(self, legs: Sequence[Leg]) -> Leg | None:
        """The first leg that takes more than is available, legs taken one after the other."""
        moved: dict[AccountKey, int] = {}
        for leg in legs:
            key = (leg.address or own_address(leg.account), leg.asset)
            change = moved.get(key, 0) + leg.amount_minor
            moved[key] = change
            if leg.amount_minor > 0 and leg.account in LIABILITIES:
                account = self.accounts.get(key)
                if change > (account.available_minor if account else 0):
                    return leg
            elif leg.amount_minor < 0 and leg.account in HELD:
                account = self.accounts.get(key)
                if change + (account.net_minor if account else 0) < 0:
                    return leg
        return None

    def post(self, entry: Entry) -> Posted:
        """Append an entry; raises AssertionError unless it sums to zero for each asset."""
        assert is_balanced(entry.legs), entry
        after, at_address = [], []
        for leg in entry.legs:
            key = (leg.account, leg.asset)
            balance = self.balances.get(key)
            if balance is None:
                balance = self.balances[key] = Balance()
            after.append(balance.add(leg.amount_minor))
            at_address.append(self.account(leg).add(leg.amount_minor))
        head = self.head
        sequence = head.sequence + 1
        hashed = hash_of(entry, sequence, head.posted_at, head.hash)
        self.head = Head(head.tenant_id, sequence, hashed, head.posted_at)
        return Posted(
            entry, sequence, head.posted_at, head.hash, hashed, tuple(after), tuple(at_address)
        )


def is_balanced(legs: Sequence[Leg]) -> bool:
    """Whether there are legs, and they sum to zero for each asset."""
    sums: dict[str, int] = {}
    for leg in legs:
        sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount_minor
    return bool(sums) and not any(sums.values())


def hash_of(entry: Entry, sequence: int, posted_at: datetime, previous_hash: str) -> str:
    """SHA-256 over the hash before and the transaction in its canonical form, hexadecimal."""
    return digest(bytes.fromhex(previous_hash), canonical_form(entry, sequence, posted_at).encode())


def canonical_form(entry: Entry, sequence: int, posted_at: datetime) -> str:
    """What `chassis.evidence.canonical` makes of the transaction, written out: a third of its cost.

    Keys are in order of the alphabet. What a transaction does not say is not there, so that those
    from before something could be said keep their hash.
    """
    legs = ",".join(
        f'["{leg.account}","{leg.asset}",{leg.amount_minor}]'
        if leg.address is None
        else f'["{leg.account}","{leg.asset}",{leg.amount_minor},"{leg.address}"]'
        for leg in entry.legs
    )
    actor = f'"actor":{_text(entry.actor)},' if entry.actor is not None else ""
    effective = f'"effective_at":"{_time(entry.effective_at)}",' if entry.effective_at else ""
    metadata = f'"metadata":{entry.metadata},' if entry.metadata is not None else ""
    reference = f'"reference":"{entry.reference}",' if entry.reference is not None else ""
    own = str(entry.id)
    cause = own if entry.cause_event_id is entry.id else entry.cause_event_id
    return (
        f'{{{actor}"cause_event_id":"{cause}",{effective}"id":"{own}",'
        f'"invoice_id":{_id(entry.invoice_id)},{metadata}"payment_id":{_id(entry.payment_id)},'
        f'"posted_at":"{_time(posted_at)}","postings":[{legs}],{reference}'
        f'"reverses":{_id(entry.reverses)},"sequence":{sequence},"template":"{entry.template}",'
        f'"tenant_id":"{_uuid(entry.tenant_id)}"}}'
    )


@lru_cache(maxsize=4096)
def _uuid(value: UUID) -> str:
    return str(value)


@lru_cache(maxsize=4096)
def _text(value: str | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(value: UUID | None) -> str:
    return "null" if value is None else f'"{value}"'


@lru_cache(maxsize=256)
def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


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
        self._at: dict[AccountKey, int] = {}
        self._trusting = sequence > 0

    @property
    def balances(self) -> dict[AccountKey, int]:
        """Balances after the last transaction, those that are not zero, in minor units."""
        return {key: minor for key, minor in self._balances.items() if minor}

    def differs_from(self, accounts: Mapping[AccountKey, int]) -> bool:
        """Whether the balances kept of addresses are not those this walk came to."""
        if any(accounts.get(place, 0) != minor for place, minor in self._at.items()):
            return True
        return not self._trusting and any(
            minor and place not in self._at for place, minor in accounts.items()
        )

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
        for place, leg in enumerate(row.entry.legs):
            if not self._agrees(leg, row.balances[place], row.address_balances[place]):
                return "balance_altered"
        return ""

    def _agrees(self, leg: Leg, balance: int, at_address: int) -> bool:
        key = (leg.account, leg.asset)
        self._balances[key] = self._balances.get(key, 0) + leg.amount_minor
        place = (leg.address or own_address(leg.account), leg.asset)
        # A walk that begins behind others takes an address's balance from where it first meets it.
        before = self._at.get(place, at_address - leg.amount_minor if self._trusting else 0)
        self._at[place] = before + leg.amount_minor
        return self._balances[key] == balance and self._at[place] == at_address
