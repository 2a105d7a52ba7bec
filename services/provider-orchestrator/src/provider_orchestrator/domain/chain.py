"""Blocks, and how far a chain has been read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from provider_orchestrator.domain.transfers import Finality, Transfer

RING = 64
"""Blocks that are remembered to find the common ancestor in."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block by number and hash; its hash stands for all its ancestors too."""

    number: int
    hash: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """Every transfer up to this block is recorded."""

    chain_id: int
    block: Block
    start: Block
    """Where reading began; nothing before it concerns us."""
    genesis_hash: bytes
    """Names the chain beyond its id: a node with another one is on another chain."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was found between a cursor and a block, both of them canonical at one moment."""

    cursor: Cursor
    to: Block
    head_number: int
    transfers: Sequence[Transfer]
    finalized: int | None = None
    """The last final block by the node's own word, on a chain where that counts."""
    addresses: frozenset[bytes] | None = None
    """Those that were looked for; None where everything was."""


def final_number(head_number: int, confirmations: int) -> int:
    """The last block that counts as final; below zero when none does."""
    return head_number - confirmations


def finality_of(swept: Swept, confirmations: int) -> Finality:
    """Up to where what was swept cannot change any more."""
    if swept.finalized is None:
        number = final_number(swept.to.number, confirmations)
        return Finality(confirmations, number, swept.to.at)
    number = min(swept.finalized, swept.to.number)
    return Finality(max(0, swept.head_number - swept.finalized), number, swept.to.at)


def common_ancestor(known: Sequence[Block], canonical: Mapping[int, Block]) -> Block | None:
    """The highest block we know that the chain still has; None when it has none of them."""
    for block in sorted(known, key=lambda block: block.number, reverse=True):
        there = canonical.get(block.number)
        if there is not None and there.hash == block.hash:
            return there
    return None


def contradicts(known: Sequence[Block], canonical: Mapping[int, Block]) -> bool:
    """Whether the chain has another block where we know one; not having it yet is none."""
    return any(
        block.number in canonical and canonical[block.number].hash != block.hash for block in known
    )


def last_block_within(numbers: Sequence[int], limit: int) -> int | None:
    """The highest block such that all logs up to it are at most `limit`; None when all are.

    `numbers` are the block numbers of the logs in order. A single block with more than the limit
    is taken whole, for half a block cannot be recorded.
    """
    if len(numbers) <= limit:
        return None
    cut = numbers[limit]
    return cut - 1 if cut > numbers[0] else cut
