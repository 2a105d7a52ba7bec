"""Places that hold money for others, and what they show of themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.provider_v1 import (
    ProviderStatementLinesObserved,
    ReserveSourceObserved,
    StatementLine,
)
from provider_orchestrator.domain.chain import Block

LINES_A_PAGE: Final = 500


class SourceKind(StrEnum):
    """What a source is."""

    CHAIN = "chain"
    SUPPLY = "supply"
    PROVIDER = "provider"
    BANK = "bank"


@dataclass(frozen=True, slots=True)
class Source:
    """One place and asset."""

    kind: SourceKind
    name: str
    asset: str

    @property
    def id(self) -> UUID:
        """The same everywhere, for ever."""
        place = f"https://invoiceos.dev/reserve/{self.kind}/{self.name}/{self.asset}"
        return uuid5(NAMESPACE_URL, place)


@dataclass(frozen=True, slots=True)
class ChainSource:
    """A token on a chain: what an address holds of it, or how much of it there is."""

    source: Source
    chain_id: int
    token: bytes

    @classmethod
    def holding(cls, chain_id: int, address: bytes, token: bytes, asset: str) -> "ChainSource":
        """What the master's address holds."""
        name = f"tempo:{chain_id}:0x{address.hex()}"
        return cls(Source(SourceKind.CHAIN, name, asset), chain_id, token)

    @classmethod
    def supply(cls, chain_id: int, token: bytes, asset: str) -> "ChainSource":
        """What circulates of a token that we issue."""
        name = f"tempo:{chain_id}:0x{token.hex()}"
        return cls(Source(SourceKind.SUPPLY, name, asset), chain_id, token)


@dataclass(frozen=True, slots=True)
class Deposits:
    """What came in up to a block, as it was recorded, in minor units."""

    total: int = 0
    held_elsewhere: int = 0
    """Part of it that a guard keeps."""
    unannounced: int = 0
    """Part of it that no payment was stated for."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a chain answered about a source at a final block."""

    at: ChainSource
    balance_minor: int
    block: Block


@dataclass(frozen=True, slots=True)
class Listing:
    """Movements between two blocks; balances at both ends where they were asked for."""

    looked: Looked
    since: Block
    opening_minor: int | None
    closing_minor: int | None
    until: Block
    lines: Sequence[StatementLine]


def observed(looked: Looked, deposits: Deposits | None) -> ReserveSourceObserved:
    """The fact; supply has no deposits."""
    source, known = looked.at.source, deposits or Deposits()
    return ReserveSourceObserved(
        tenant_id=PLATFORM,
        source_id=source.id,
        source=source.name,
        asset=source.asset,
        kind=source.kind,
        balance_minor=looked.balance_minor,
        deposits_minor=None if deposits is None else known.total,
        held_elsewhere_minor=known.held_elsewhere,
        unannounced_minor=known.unannounced,
        block_number=looked.block.number,
        block_hash="0x" + looked.block.hash.hex(),
        as_of=looked.block.at,
    )


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of one source, whoever gave it."""

    source: Source
    name: str
    starts_at: datetime
    ends_at: datetime
    opening_minor: int | None
    closing_minor: int | None
    lines: Sequence[StatementLine]


def statement_of(listing: Listing) -> Statement:
    """What a chain lists between two blocks."""
    return Statement(
        source=listing.looked.at.source,
        name=f"{listing.since.number + 1}-{listing.until.number}",
        starts_at=listing.since.at,
        ends_at=listing.until.at,
        opening_minor=listing.opening_minor,
        closing_minor=listing.closing_minor,
        lines=listing.lines,
    )


def pages(statement: Statement) -> list[ProviderStatementLinesObserved]:
    """The statement as facts, at least one."""
    lines = list(statement.lines)
    chunks = [lines[at : at + LINES_A_PAGE] for at in range(0, len(lines), LINES_A_PAGE)] or [[]]
    return [
        ProviderStatementLinesObserved(
            tenant_id=PLATFORM,
            source_id=statement.source.id,
            source=statement.source.name,
            asset=statement.source.asset,
            statement=statement.name,
            page=number,
            last_page=number == len(chunks),
            starts_at=statement.starts_at,
            ends_at=statement.ends_at,
            opening_minor=statement.opening_minor,
            closing_minor=statement.closing_minor,
            lines=tuple(chunk),
        )
        for number, chunk in enumerate(chunks, 1)
    ]
