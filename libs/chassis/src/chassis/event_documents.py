"""Writes what partners read: samples, the changelog of events, the guide and the gateway's page."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from chassis import event_guide, event_page
from chassis.event_catalogue import Change, Entry, Schema, continued, entries, read_history
from invoiceos_contracts import EVENTS, Envelope, Event, to_headers
from invoiceos_contracts.cloudevents import schema_uri
from invoiceos_contracts.samples import sample

GUIDE = Path("docs/partners.md")
PAGE_FOLDER = Path("services/gateway/src/gateway/edge/docs_page")
_ID = UUID("0193a5b2-7c4d-7e8f-9a0b-1c2d3e4f5a6b")
_MOMENT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """What the other documents already say; events by their CloudEvents type."""

    before: Mapping[str, Schema]
    """The schemas as they were checked in."""
    schemas: Mapping[str, Schema]
    readers: Mapping[str, tuple[str, ...]]
    request: Schema
    """Schema of what a partner writes."""
    headers: Mapping[str, str]
    optional_headers: Mapping[str, str]


def write(folder: Path, known: Known) -> Iterator[Path]:
    """Write samples and history under `folder`, guide and page beside it; the paths written."""
    samples = {}
    for event in EVENTS.values():
        path = folder / "samples" / f"{event.__name__}.{event.TYPE.rpartition('.')[2]}.json"
        if not path.exists():
            _put(path, _document(_made_up(event)))
        samples[event.TYPE] = json.loads(path.read_text())
        yield path
    history = continued(read_history(folder / "history.json"), known.before, known.schemas)
    yield _put(folder / "history.json", _lines(history))
    every = entries(known.schemas, samples, known.readers, history)
    if (folder.parent / GUIDE).exists():
        yield from _guide(folder, every, known)


def _guide(folder: Path, every: list[Entry], known: Known) -> Iterator[Path]:
    root = folder.parent
    record = json.loads((folder / "samples" / "InvoiceRequest.v1.json").read_text())
    parts = event_guide.parts_of(every, (known.request, record)) | {
        "envelope": lambda: event_guide.envelope(known.headers, known.optional_headers)
    }
    guide = root / GUIDE
    text = event_guide.filled(guide.read_text(), parts, guide.parent)
    yield _put(guide, text)
    yield _put(root / PAGE_FOLDER / "events.html", event_page.page(text, every))
    request = {"schema": known.request, **record, "since": "Unreleased"}
    yield _put(root / PAGE_FOLDER / "events.json", event_page.catalogue(every, request))


def _made_up(event: type[Event]) -> dict[str, Any]:
    """A record to begin with; put a real one in its place."""
    fact = sample(event)
    envelope = Envelope(
        id=_ID,
        type=event.TYPE,
        source=f"/invoiceos/{event.OWNER}",
        subject=fact.subject,
        time=_MOMENT,
        tenant_id=fact.tenant_id,
        aggregate_version=1,
        correlation_id=fact.correlation,
    )
    headers = {name: value.decode() for name, value in to_headers(envelope, schema_uri(event))}
    value = json.loads(fact.write())
    return {"topic": event.TOPIC, "key": fact.subject, "headers": headers, "value": value}


def _document(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _lines(history: list[Change]) -> str:
    """One line a change, so that two who add one do not meet."""
    rows = ",\n".join(f"  {json.dumps(asdict(change), ensure_ascii=False)}" for change in history)
    return f"[\n{rows}\n]\n"


def _put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
