"""A counter under a keyed permutation: unique because it is a permutation, not to be enumerated
because it is keyed. A balanced Feistel network of eight rounds, keyed BLAKE2b in each.
"""

import hashlib

_ROUNDS = 8


def places(half_bytes: int) -> int:
    """How many places there are: two halves of so many bytes."""
    return 1 << (16 * half_bytes)


def _round(key: bytes, number: int, half: int, half_bytes: int) -> int:
    message = bytes([number]) + half.to_bytes(half_bytes, "big")
    digest = hashlib.blake2b(message, key=key, digest_size=half_bytes).digest()
    return int.from_bytes(digest, "big")


def permute(key: bytes, place: int, half_bytes: int) -> int:
    """What stands at a place of the counter; raises `ValueError` outside it."""
    if not 0 <= place < places(half_bytes):
        raise ValueError(f"there are places 0 to {places(half_bytes) - 1}")
    bits = 8 * half_bytes
    left, right = place >> bits, place & ((1 << bits) - 1)
    for number in range(_ROUNDS):
        left, right = right, left ^ _round(key, number, right, half_bytes)
    return left << bits | right


def place_of(key: bytes, value: int, half_bytes: int) -> int:
    """The place a value stands at: the inverse of `permute`."""
    if not 0 <= value < places(half_bytes):
        raise ValueError(f"a value is 0 to {places(half_bytes) - 1}")
    bits = 8 * half_bytes
    left, right = value >> bits, value & ((1 << bits) - 1)
    for number in reversed(range(_ROUNDS)):
        left, right = right ^ _round(key, number, left, half_bytes), left
    return left << bits | right


def fingerprint(key: bytes) -> str:
    """Names a key without telling it."""
    return hashlib.blake2b(b"fingerprint", key=key, digest_size=32).hexdigest()
