"""Lines of structured log files that name something, placed in time."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

_SAID_ELSEWHERE = {"timestamp", "event", "level", "service", "trace_id", "span_id"}
TEXT_MAX = 300


def lines_about(folder: Path, names: Mapping[str, UUID | None]) -> list[dict[str, Any]]:
    """JSON lines of `*.log` in a folder that hold one of the names, as entries of a trace.

    The value of a name is the event under which its lines belong, or None.
    """
    return [entry for path in sorted(folder.glob("*.log")) for entry in _of_file(path, dict(names))]


def _of_file(path: Path, names: Mapping[str, UUID | None]) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            said = [name for name in names if name in line]
            record = _record(line) if said else None
            if record is None:
                continue
            causes = [names[name] for name in said if names[name] is not None]
            yield {
                "kind": "log",
                "at": record["timestamp"],
                "service": str(record.get("service", path.stem)),
                "title": f"{record.get('level', '')} {record.get('event', '')}".strip(),
                "id": None,
                "cause": causes[0] if causes else None,
                "subject": None,
                "details": {
                    name: str(value)[-TEXT_MAX:]
                    for name, value in record.items()
                    if name not in _SAID_ELSEWHERE
                },
            }


def _record(line: str) -> dict[str, Any] | None:
    """A line with a time, as our services write them; None for any other."""
    try:
        found = json.loads(line)
        moment = datetime.fromisoformat(found["timestamp"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return {**found, "timestamp": moment if moment.tzinfo else moment.replace(tzinfo=UTC)}
