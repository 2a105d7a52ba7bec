"""A Merkle-sum tree over what is owed: a root for the world, a path for each holder. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

NODE: Final = 48
"""Bytes of a node: 32 of hash, 16 of sum."""
SALT: Final = 16
PADDING: Final = "padding"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one holder is owed; the salt keeps others from guessing who it is."""

    tenant_id: UUID
    account: str
    invoice_id: UUID | None
    balance_minor: int
    salt: bytes

    @property
    def holder(self) -> str:
        """The name that is hashed: who holds it, and for what."""
        place = f"{self.tenant_id}/{self.account}"
        return place if self.invoice_id is None else f"{place}/{self.invoice_id}"


def leaf_node(holder: str, balance_minor: int, salt: bytes) -> bytes:
    """H(0 | H(salt | holder) | balance | salt), and the balance; raises for less than nothing."""
    if balance_minor < 0:
        raise ValueError("nobody is owed less than nothing")
    balance = balance_minor.to_bytes(16, "big")
    salted = hashlib.sha256(salt + holder.encode()).digest()
    return hashlib.sha256(b"\x00" + salted + balance + salt).digest() + balance


def parent(left: bytes, right: bytes) -> bytes:
    """H(1 | left | its sum | right | its sum), and the sum of both."""
    total = int.from_bytes(left[32:], "big") + int.from_bytes(right[32:], "big")
    return hashlib.sha256(b"\x01" + left + right).digest() + total.to_bytes(16, "big")


def levels(leaves: Iterable[Leaf], padding: Sequence[bytes]) -> list[bytes]:
    """The tree from the leaves to the root, each level one string of nodes.

    `padding` are salts of leaves that are owed nothing: they fill the lowest level up to a power of
    two, so that it does not tell how many holders there are.
    """
    nodes = [leaf_node(leaf.holder, leaf.balance_minor, leaf.salt) for leaf in leaves]
    nodes += [leaf_node(PADDING, 0, salt) for salt in padding]
    assert len(nodes) & (len(nodes) - 1) == 0, "the lowest level has a power of two of leaves"
    made = [b"".join(nodes)]
    while len(nodes) > 1:
        nodes = [parent(nodes[n], nodes[n + 1]) for n in range(0, len(nodes), 2)]
        made.append(b"".join(nodes))
    return made


def padded_to(count: int) -> int:
    """The power of two that hides how many leaves there are."""
    return 1 << max(0, count - 1).bit_length()


def siblings(tree: Sequence[bytes], place: int) -> list[bytes]:
    """The nodes beside the way from a leaf to the root, the lowest first."""
    found = []
    for level in tree[:-1]:
        beside = place ^ 1
        found.append(level[beside * NODE : (beside + 1) * NODE])
        place >>= 1
    return found
