"""What happens by itself later, by the sandbox's clock; kept in the store."""

import heapq

from provider_sandbox.core.store import Document, Store

Due = tuple[float, int]


class Timers:
    """Timers of one kind, in the order of their time, then of their making."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._kind = kind
        self._heap: list[Due] = [(one["at"], one["number"]) for one in store.all(kind)]
        heapq.heapify(self._heap)
        self._last = max((number for _, number in self._heap), default=0)

    def set(self, at: float, action: str, argument: Document) -> None:
        """Let `action` happen at a time."""
        self._last += 1
        timer = {"number": self._last, "at": at, "action": action, "argument": argument}
        self._store.put(self._kind, str(self._last), timer)
        heapq.heappush(self._heap, (at, self._last))

    def next_at(self) -> float | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def take(self, until: float) -> Document | None:
        """The first that is due by then. A restart brings it again until it is `done`."""
        if not self._heap or self._heap[0][0] > until:
            return None
        _, number = heapq.heappop(self._heap)
        return self._store.get(self._kind, str(number))

    def done(self, timer: Document) -> None:
        """Forget a timer that was taken."""
        self._store.remove(self._kind, str(timer["number"]))

    def __len__(self) -> int:
        return len(self._heap)
