"""Token buckets. Counted in this process alone: n processes let through n times as much."""

from collections.abc import Hashable
from dataclasses import dataclass

_BUCKETS_MAX = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """One bucket a name: holds `burst` tokens and regains `rate` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        """A rate of 0 limits nothing."""
        self.rate = rate
        self.burst = burst
        self._buckets: dict[Hashable, _Bucket] = {}

    def take(self, name: Hashable, now: float) -> float:
        """Take a token; those left, or minus the seconds until there is one."""
        if self.rate == 0:
            return self.burst
        bucket = self._filled(name, now)
        if bucket.tokens < 1:
            return (bucket.tokens - 1) / self.rate
        bucket.tokens -= 1
        return bucket.tokens

    def is_empty(self, name: Hashable, now: float) -> bool:
        """Whether a token could not be taken at this moment."""
        return self.rate > 0 and name in self._buckets and self._filled(name, now).tokens < 1

    def _filled(self, name: Hashable, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _BUCKETS_MAX:
                self._make_room(now)
            bucket = self._buckets[name] = _Bucket(self.burst, now)
        else:
            bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
            bucket.at = now
        return bucket

    def _make_room(self, now: float) -> None:
        """Forget whoever has been away long enough to have a full bucket; else the eldest half."""
        full_after = self.burst / self.rate
        kept = {n: b for n, b in self._buckets.items() if now - b.at < full_after}
        if len(kept) >= _BUCKETS_MAX:
            newest = sorted(kept, key=lambda name: kept[name].at)[len(kept) // 2 :]
            kept = {name: kept[name] for name in newest}
        self._buckets = kept
