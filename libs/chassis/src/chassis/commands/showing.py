"""How commands show times, ids and JSON."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from invoiceos_contracts import encode

_AGE = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def as_json(value: Any) -> None:
    """Print for programs."""
    typer.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def age_of(text: str) -> timedelta:
    """A span such as `90s`, `15m`, `2h` or `3d`."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise typer.BadParameter("an age looks like 90s, 15m, 2h or 3d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def since(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in the two largest units that say something."""
    return span(((now or datetime.now(UTC)) - moment).total_seconds())


def span(seconds: float) -> str:
    """A duration for people: `850 ms`, `12 s`, `3 m 20 s`, `2 h 5 m`, `4 d 3 h`."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    whole = int(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole // 60} m {whole % 60} s" if whole >= 60 else f"{whole} s"


def tenant(value: Any) -> str:
    """The public id of a tenant."""
    return encode("ten", value)
