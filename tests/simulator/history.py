"""What happened, in order: two runs of one seed must agree on every line of it."""

import hashlib
from collections import deque
from typing import Any

KEPT = 4000


class History:
    """A running hash over all lines, and the last of them for people."""

    def __init__(self, *, keep_all: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=8)
        self.lines: deque[str] = deque(maxlen=None if keep_all else KEPT)

    def note(self, at: float, who: Any, what: str) -> None:
        """Add a line: virtual seconds, whose it is, what it is."""
        line = f"{at:.6f} {who or 'world'} {what}"
        self._hash.update(line.encode() + b"\n")
        self.lines.append(line)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for the whole history."""
        return self._hash.hexdigest()
