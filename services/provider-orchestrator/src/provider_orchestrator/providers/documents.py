"""Reading JSON that a provider sent, part by part: what is not there is empty, never an error."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provider_orchestrator.providers.exchange import Senseless


def moment(text: object) -> datetime | None:
    """A time as ISO 8601 writes it; None where there is none. Raises `Senseless`."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError as error:
        message = f"{str(text)[:40]!r} is no time"
        raise Senseless(message) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def object_in(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a document; an empty one where it is not there."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def objects_in(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects; an empty one where it is not there."""
    found = document.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def text_in(document: Mapping[str, Any], name: str) -> str | None:
    """A text."""
    found = document.get(name)
    return found if isinstance(found, str) and found else None
