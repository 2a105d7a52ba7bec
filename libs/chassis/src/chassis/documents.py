"""Writes what is generated from contracts and services: schemas, AsyncAPI, OpenAPI, goldens.

The send side of AsyncAPI comes from the registry, for the relay's messages are invisible to
FastStream; the receive side from the subscriptions that really run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from chassis import event_documents
from chassis.application import describe
from chassis.runtime import Service
from invoiceos_contracts import EVENTS, Event, owned_by
from invoiceos_contracts.cloudevents import SCHEMA_BASE, schema_uri
from invoiceos_contracts.compatibility import breaks
from invoiceos_contracts.partner_v1 import InvoiceRequest
from invoiceos_contracts.registry import FAMILIES, REQUESTS, TopicFamily
from invoiceos_contracts.samples import sample

PARTNER = "partner"
"""Names the documents of what partners write, and of the topics they have."""

_HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "UUIDv7 of the fact, the same in every redelivery",
    "ce_type": "type and version of the event",
    "ce_source": "/invoiceos/<service>",
    "ce_subject": "public id of the aggregate; also the record key",
    "ce_time": "when it happened, RFC 3339 UTC",
    "ce_dataschema": "URI of the JSON Schema",
    "ce_tenant": "public id of the tenant",
    "ce_aggregateversion": "1, 2, 3 ... per aggregate, no gap",
    "ce_correlationid": "runs through the whole life of an invoice",
    "content-type": "application/json",
}
_OPTIONAL_HEADERS = {
    "ce_causationid": "id of the event that caused this one",
    "traceparent": "W3C trace context of the span that stated the fact",
    "tracestate": "W3C trace state",
}

_REQUEST_HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "your id of the request, 1 to 200 visible characters",
    "ce_type": "what is asked for",
    "ce_source": "who asks, as you like",
}
_OPTIONAL_REQUEST_HEADERS = {
    "ce_tenant": "best left out; one that is not yours is refused",
    "ce_time": "when it was asked, RFC 3339",
    "content-type": "application/json",
    "traceparent": "W3C trace context",
}


def schema_of(event: type[Event]) -> dict[str, Any]:
    """JSON Schema of an event's body as it is written."""
    schema = _open_ended(event.model_json_schema(mode="serialization"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_uri(event),
        **schema,
        "x-type": event.TYPE,
        "x-topic": event.TOPIC,
        "x-owner": event.OWNER,
        "x-sensitive": sorted(event.SENSITIVE),
    }


def request_schema() -> dict[str, Any]:
    """JSON Schema of what a partner writes; closed, for a field we do not know is refused."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA_BASE}/{PARTNER}/{_file_name(InvoiceRequest)}.json",
        **InvoiceRequest.model_json_schema(mode="validation"),
        "x-type": InvoiceRequest.TYPE,
        "x-topic": REQUESTS.template,
        "x-owner": PARTNER,
        "x-sensitive": ["customer"],
    }


def _open_ended(value: Any) -> Any:
    """Without `additionalProperties: false`: readers must let later fields be."""
    if isinstance(value, dict):
        return {
            k: _open_ended(v)
            for k, v in value.items()
            if not (k == "additionalProperties" and v is False)
        }
    return [_open_ended(item) for item in value] if isinstance(value, list) else value


def write(folder: Path, services: Mapping[str, Service]) -> Iterator[Path]:
    """Write every document under `folder`; the paths written.

    A schema that would break its version is not written: the command ends and says what breaks.
    """
    documents = dict(_schemas(folder))
    before = {path: json.loads(path.read_text()) for path in documents if path.exists()}
    problems = [
        f"{path}: {reason}" for path in before for reason in breaks(before[path], documents[path])
    ]
    if problems:
        for problem in problems:
            typer.echo(problem, err=True)
        typer.echo("Publish a new version of the event beside the old one instead.", err=True)
        raise typer.Exit(1)
    known = _known(documents, before, services)
    for name, service in sorted(services.items()):
        documents[folder / "asyncapi" / f"{name}.json"] = asyncapi(service)
        documents[folder / "openapi" / f"{name}.json"] = describe(service).openapi()
    documents[folder / "asyncapi" / f"{PARTNER}.json"] = partner_asyncapi()
    for path, document in documents.items():
        yield _put(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    yield from _goldens(folder)
    yield from event_documents.write(folder, known)


def _known(
    schemas: Mapping[Path, dict[str, Any]],
    before: Mapping[Path, dict[str, Any]],
    services: Mapping[str, Service],
) -> event_documents.Known:
    """What the documents for partners stand on."""
    by_type = {schema["x-type"]: schema for schema in schemas.values()}
    readers = {
        name: tuple(
            reader
            for reader, service in sorted(services.items())
            if any(name == event.TYPE for s in service.subscriptions for event in s.events)
        )
        for name in EVENTS
    }
    return event_documents.Known(
        before={schema["x-type"]: schema for schema in before.values()},
        schemas={name: by_type[name] for name in EVENTS},
        readers=readers,
        request=by_type[InvoiceRequest.TYPE],
        headers=_HEADERS,
        optional_headers=_OPTIONAL_HEADERS,
    )


def _schemas(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for event in EVENTS.values():
        yield folder / "schemas" / event.OWNER / f"{_file_name(event)}.json", schema_of(event)
    yield folder / "schemas" / PARTNER / f"{_file_name(InvoiceRequest)}.json", request_schema()


def _file_name(event: type[Event] | type[InvoiceRequest]) -> str:
    return f"{event.__name__}.{event.TYPE.rpartition('.')[2]}"


def _goldens(folder: Path) -> Iterator[Path]:
    """A message of each version as first published; written once, never again."""
    for event in EVENTS.values():
        yield from _golden(folder, event, {"key": sample(event).subject})
    yield from _golden(folder, InvoiceRequest, {})


def _golden(
    folder: Path, kind: type[Event] | type[InvoiceRequest], key: dict[str, str]
) -> Iterator[Path]:
    path = folder / "golden" / f"{_file_name(kind)}.json"
    if not path.exists():
        message = {"type": kind.TYPE, **key, "data": _example(kind)}
        yield _put(path, json.dumps(message, indent=2, ensure_ascii=False) + "\n")


def _example(kind: type[Event] | type[InvoiceRequest]) -> Any:
    if issubclass(kind, InvoiceRequest):
        return json.loads(sample(kind).model_dump_json(exclude_none=True))
    return json.loads(sample(kind).write())


def _put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def asyncapi(service: Service) -> dict[str, Any]:
    """AsyncAPI 3.0 document of a service: what it sends and what it receives."""
    sent = owned_by(service.name)
    received = [event for s in service.subscriptions for event in s.events]
    used = {event.TYPE: event for event in [*sent, *received]}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Invoice OS {service.name}",
            "version": "1",
            "description": "CloudEvents 1.0, Kafka binary binding: the envelope is in the headers.",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: {
                "address": topic,
                "messages": {
                    event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}
                    for event in used.values()
                    if topic == event.TOPIC
                },
            }
            for topic in sorted({event.TOPIC for event in used.values()})
        },
        "operations": {
            **_operations("send", sent, service.name),
            **_operations("receive", received, service.name),
        },
        "components": {
            "messages": {event.__name__: _message(event) for event in used.values()},
            "schemas": {event.__name__: _inline(schema_of(event)) for event in used.values()},
        },
    }


def partner_asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 document of a partner's topics, as the partner sees them."""
    carried = {kind.TYPE: kind for family in FAMILIES for kind in family.carries}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Invoice OS for partners",
            "version": "1",
            "description": (
                "CloudEvents 1.0, Kafka binary binding: the envelope is in the headers. "
                "Each partner has three topics of its own."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {family.purpose: _partner_channel(family) for family in FAMILIES},
        "operations": {
            f"{action}_{family.purpose}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{family.purpose}"},
                "messages": [
                    {"$ref": f"#/channels/{family.purpose}/messages/{kind.__name__}"}
                    for kind in family.carries
                ],
            }
            for family in FAMILIES
            for action in ["send" if family.written_by == PARTNER else "receive"]
        },
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in carried.values()},
            "schemas": {
                kind.__name__: _inline(
                    request_schema() if issubclass(kind, InvoiceRequest) else schema_of(kind)
                )
                for kind in carried.values()
            },
        },
    }


def _partner_channel(family: TopicFamily) -> dict[str, Any]:
    return {
        "address": family.template,
        "parameters": {"name": {"description": "The partner's name."}},
        "messages": {
            kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"}
            for kind in family.carries
        },
    }


def _operations(action: str, events: list[type[Event]], service: str) -> dict[str, Any]:
    return {
        f"{action}_{topic}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic}"},
            "messages": [
                {"$ref": f"#/channels/{topic}/messages/{event.__name__}"}
                for event in events
                if topic == event.TOPIC
            ],
            **(
                {"bindings": {"kafka": {"groupId": {"type": "string", "enum": [service]}}}}
                if action == "receive"
                else {}
            ),
        }
        for topic in sorted({event.TOPIC for event in events})
    }


def _message(event: type[Event] | type[InvoiceRequest]) -> dict[str, Any]:
    written_by_partner = issubclass(event, InvoiceRequest)
    needed = _REQUEST_HEADERS if written_by_partner else _HEADERS
    more = _OPTIONAL_REQUEST_HEADERS if written_by_partner else _OPTIONAL_HEADERS
    key = "any; nothing depends on it" if written_by_partner else "the aggregate's id"
    properties = {
        name: {"type": "string", "description": text} for name, text in {**needed, **more}.items()
    }
    properties["ce_type"]["const"] = event.TYPE
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"type": "object", "properties": properties, "required": sorted(needed)},
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
        "examples": [{"payload": _example(event)}],
    }


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without `$defs`, so that its references stay inside the document."""
    definitions = schema.get("$defs", {})

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return replace(definitions[value["$ref"].rpartition("/")[2]])
            return {k: replace(v) for k, v in value.items() if k not in ("$defs", "$id", "$schema")}
        return [replace(item) for item in value] if isinstance(value, list) else value

    replaced: dict[str, Any] = replace(schema)
    return replaced
