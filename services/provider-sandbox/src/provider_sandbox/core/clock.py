"""The sandbox's own time: it runs with the machine's, or stands until it is moved."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970. Never goes back, so that what has expired stays so."""

    def __init__(self, machine: Callable[[], float] = time.time) -> None:
        self._machine = machine
        self._offset = 0.0
        self._stands_at: float | None = None

    @property
    def stands(self) -> bool:
        """Whether time moves only when it is asked to."""
        return self._stands_at is not None

    def now(self) -> float:
        """The present, in seconds."""
        if self._stands_at is not None:
            return self._stands_at
        return self._machine() + self._offset

    def stop(self) -> None:
        """Stand still from now on."""
        self._stands_at = self.now()

    def run(self) -> None:
        """Go with the machine's clock from the present on."""
        self._offset = self.now() - self._machine()
        self._stands_at = None

    def forward_to(self, moment: float) -> None:
        """Jump ahead; a moment that has passed changes nothing."""
        missing = moment - self.now()
        if missing <= 0:
            return
        if self._stands_at is not None:
            self._stands_at = moment
        else:
            self._offset += missing

    def saved(self) -> dict[str, float | None]:
        """What a restart needs."""
        return {"offset": self._offset, "stands_at": self._stands_at}

    def restore(self, saved: dict[str, float | None]) -> None:
        """Go on as `saved` said."""
        self._offset = saved["offset"] or 0.0
        self._stands_at = saved["stands_at"]


def moment_of(text: str) -> float:
    """Seconds of an RFC 3339 time; raises `ValueError` for one without a zone."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return parsed.timestamp()


def iso_seconds(moment: float) -> str:
    """`2026-11-20T19:00:00Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_milliseconds(moment: float) -> str:
    """`2026-11-20T19:00:00.123Z`."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
