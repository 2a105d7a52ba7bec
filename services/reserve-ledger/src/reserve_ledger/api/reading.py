"""What reading the books needs: who may, moments, and periods between them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

from chassis.auth import Caller, needs
from reserve_ledger.queries.accounts import Period

Reader = Annotated[Caller, Depends(needs("ledger:read"))]


def _only_text(value: object) -> object:
    """RFC 3339 has a T in it; a bare number is no moment."""
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("a moment looks like 2026-11-20T12:00:00Z")
    return value


def _in_range(value: datetime) -> datetime:
    if not 1970 <= value.year <= 9000:
        raise ValueError("the year must be 1970 to 9000")
    return value.astimezone(UTC)


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_only_text),
    AfterValidator(_in_range),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def period(
    start: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to")] = None,
) -> Period:
    """From one moment to just before another."""
    return Period(start, end)
