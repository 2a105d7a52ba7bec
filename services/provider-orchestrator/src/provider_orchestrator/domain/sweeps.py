"""Fetching money from deposit addresses: what is worth a transaction, and what came of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

BATCH = 20
"""Addresses emptied by one transaction."""
REST_FIRST = timedelta(minutes=1)
REST_MAX = timedelta(hours=12)


class State(StrEnum):
    """Where a sweep stands."""

    SIGNED = "signed"
    """Its bytes are stored; they may have been sent, and may be in a block that is not final."""
    DONE = "done"
    REVERTED = "reverted"
    """In a final block, and without effect but its fee."""
    VOID = "void"
    """Its nonce is used up by something else: it can never happen."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Money at one deposit address, in one asset."""

    tenant_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    asset: str
    address: bytes
    salt: bytes
    since: datetime
    wanted: bool
    """Somebody waits for the address to be empty: then even dust is fetched."""


@dataclass(frozen=True, slots=True)
class Item:
    """One address of a sweep, and what lay there when it was planned."""

    waiting: Waiting
    units: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction of a sweep. Those of one sweep share its nonce: one of them can happen."""

    transaction_hash: bytes
    raw: bytes
    max_fee_wei: int
    tip_wei: int
    gas_limit: int
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Sweep:
    """One nonce of the operator, spent to fetch what lies at some addresses."""

    id: UUID
    chain_id: int
    rail: str
    operator: bytes
    nonce: int
    asset: str
    token: bytes


@dataclass(frozen=True, slots=True)
class Landed:
    """A sweep's transaction in a final block."""

    transaction_hash: bytes
    succeeded: bool
    block_number: int
    block_hash: bytes
    block_at: datetime
    gas_used: int
    fee_wei: int
    swept: Mapping[bytes, tuple[int, int]] = field(default_factory=dict)
    """Units and place of the log, by salt."""


def choose(
    waiting: Sequence[Waiting],
    held: Mapping[tuple[UUID, str], int],
    *,
    dust: int,
    wait: timedelta,
    now: datetime,
) -> list[Item]:
    """What to fetch next: one asset, at most a batch; nothing while waiting for company pays.

    `held` is what really lies there, by wallet and asset. Dust is left until there is more of it,
    or until somebody waits for the address to be empty.
    """
    worth: dict[str, list[Item]] = {}
    for one in waiting:
        units = held.get((one.wallet_id, one.asset), 0)
        if units >= dust or (one.wanted and units > 0):
            worth.setdefault(one.asset, []).append(Item(one, units))
    ready = [
        items
        for items in worth.values()
        if len(items) >= BATCH
        or any(item.waiting.wanted or item.waiting.since + wait <= now for item in items)
    ]
    if not ready:
        return []
    first = min(ready, key=lambda items: min(item.waiting.since for item in items))
    ordered = sorted(first, key=lambda item: (not item.waiting.wanted, item.waiting.since))
    return ordered[:BATCH]


def rest_until(refusals: int, now: datetime) -> datetime:
    """How long an address is left alone after its token refused to move so many times."""
    return now + min(REST_MAX, REST_FIRST * (1 << min(refusals, 12)))


def dearer(fee_wei: int) -> int:
    """What a transaction must offer to replace one in the pools of nodes: an eighth more."""
    return fee_wei + fee_wei // 8 + 1
