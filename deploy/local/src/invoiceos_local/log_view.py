"""The logs of all processes, merged, in colour."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

_POLL_SECONDS = 0.2
_COLOURS = (
    "cyan",
    "green",
    "magenta",
    "yellow",
    "blue",
    "bright_red",
    "bright_cyan",
    "bright_green",
)
_LEVEL_STYLES = {"debug": "dim", "warning": "yellow", "error": "bold red", "critical": "bold red"}
_TIME_KEYS = ("timestamp", "time", "ts")
_EVENT_KEYS = ("event", "message", "msg")
_NAME_WIDTH = 21


def show(
    logs: Path, names: Iterable[str], *, follow: bool, last_lines: int, console: Console
) -> None:
    """Prints the last lines of each log and, if asked, what is added from then on."""
    wanted = set(names)
    tails: dict[Path, _Tail] = {}
    first = True
    while first or follow:
        lines: list[tuple[str, str]] = []
        for path in sorted(logs.glob("*.log")):
            if wanted and path.stem not in wanted:
                continue
            if path not in tails:
                tails[path] = _Tail(path, last_lines if first else None)
            lines += ((path.stem, line) for line in tails[path].new_lines())
        for name, line in sorted(lines, key=_moment) if first else lines:
            console.print(pretty(name, line), soft_wrap=True)
        first = False
        if follow:
            time.sleep(_POLL_SECONDS)


class _Tail:
    """Reads what a file gains; starts anew when the file is replaced by a shorter one."""

    def __init__(self, path: Path, last_lines: int | None) -> None:
        self._path = path
        self._offset = 0
        self._last_lines = last_lines
        self._rest = b""

    def new_lines(self) -> Iterator[str]:
        try:
            size = self._path.stat().st_size
            if size < self._offset:
                self._offset, self._rest = 0, b""
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if self._last_lines is not None:
            whole, self._last_lines = whole[-self._last_lines :] if self._last_lines else [], None
        for line in whole:
            yield line.decode(errors="replace")


def _moment(named: tuple[str, str]) -> str:
    record = _record(named[1])
    return "" if record is None else str(_first(record, _TIME_KEYS) or "")


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _first(record: dict[str, Any], keys: Iterable[str]) -> object | None:
    return next((record[key] for key in keys if key in record), None)


def pretty(name: str, line: str) -> Text:
    """One line of a log: the name in its colour, then time, level, event and the rest."""
    colour = _COLOURS[sum(name.encode()) % len(_COLOURS)]
    text = Text(f"{name:<{_NAME_WIDTH}} ", style=colour)
    record = _record(line)
    if record is None:
        return text.append(line, style="default")
    moment, event = str(_first(record, _TIME_KEYS) or ""), _first(record, _EVENT_KEYS)
    level = str(record.get("level", "")).lower()
    text.append(f"{moment[11:23]:<12} ", style="dim")
    text.append(f"{level:<8} ", style=_LEVEL_STYLES.get(level, "default"))
    text.append(str(event or ""), style="bold default")
    shown = {*_TIME_KEYS, *_EVENT_KEYS, "level", "service"}
    for key, value in record.items():
        if key not in shown:
            text.append(f" {key}=", style="dim").append(_short(value), style="default")
    return text


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
