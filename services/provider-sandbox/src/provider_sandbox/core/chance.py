"""Chance and identifiers, both from the seed: the same requests in the same order, the same run."""

import uuid
from dataclasses import dataclass
from hashlib import blake2b

from provider_sandbox.core.store import Store

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Draw:
    """One moment of chance; each question to it has an answer of its own."""

    seed: int
    label: str
    number: int

    def _bytes(self, question: str) -> bytes:
        text = f"{self.seed}|{self.label}|{self.number}|{question}"
        return blake2b(text.encode(), digest_size=32).digest()

    def of(self, question: str) -> float:
        """At least 0 and below 1."""
        return int.from_bytes(self._bytes(question)[:7], "big") / 2**56

    def happens(self, question: str, rate: float) -> bool:
        """Whether something of this rate happens now."""
        return self.of(question) < rate

    def token(self, length: int, letters: str = _LETTERS) -> str:
        """Text for an identifier, of up to 40 letters."""
        number = int.from_bytes(self._bytes("token"), "big")
        found = []
        for _ in range(length):
            number, place = divmod(number, len(letters))
            found.append(letters[place])
        return "".join(found)

    def uuid(self) -> str:
        """A UUID of version 4."""
        return str(uuid.UUID(bytes=self._bytes("uuid")[:16], version=4))

    def hexadecimal(self, length: int) -> str:
        """Up to 64 hexadecimal digits."""
        return self._bytes("hexadecimal").hex()[:length]


class Chance:
    """Counts the draws of each label, also beyond a restart."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self.seed = seed

    def next(self, label: str) -> Draw:
        """The next draw of a label."""
        counted = self._store.find("draws", label) or {"count": 0}
        counted["count"] += 1
        self._store.put("draws", label, counted)
        return Draw(self.seed, label, counted["count"])
