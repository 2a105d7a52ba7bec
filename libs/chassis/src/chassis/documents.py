"""Writes what is generated from contracts and services: schemas, AsyncAPI, OpenAPI, goldens.

The send side of AsyncAPI comes from the registry, for the relay's messages are invisible to
FastStream; the receive side from the subscriptions that really run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from chassis.application import describe
from chassis.runtime import Service
from invoiceos_contracts import EVENTS, Event, owned_by
from invoiceos_contracts.cloudevents import schema_uri
from invoiceos_contracts.compatibility import breaks
from invoiceos_contracts.samples import sample

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
    problems = [
        f"{path}: {reason}"
        for path, schema in documents.items()
        if path.exists()
        for reason in breaks(json.loads(path.read_text()), schema)
    ]
    if problems:
        for problem in problems:
            typer.echo(problem, err=True)
        typer.echo("Publish a new version of the event beside the old one instead.", err=True)
        raise typer.Exit(1)
    for name, service in sorted(services.items()):
        documents[folder / "asyncapi" / f"{name}.json"] = asyncapi(service)
        documents[folder / "openapi" / f"{name}.json"] = describe(service).openapi()
    for path, document in documents.items():
        yield _put(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    yield from _goldens(folder)


def _schemas(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for event in EVENTS.values():
        yield folder / "schemas" / event.OWNER / f"{_file_name(event)}.json", schema_of(event)


def _file_name(event: type[Event]) -> str:
    return f"{event.__name__}.{event.TYPE.rpartition('.')[2]}"


def _goldens(folder: Path) -> Iterator[Path]:
    """A message of each version as first published; written once, never again."""
    for event in EVENTS.values():
        path = folder / "golden" / f"{_file_name(event)}.json"
        if not path.exists():
            body = json.loads(sample(event).write())
            message = {"type": event.TYPE, "key": sample(event).subject, "data": body}
            yield _put(path, json.dumps(message, indent=2, ensure_ascii=False) + "\n")


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


def _message(event: type[Event]) -> dict[str, Any]:
    properties = {
        name: {"type": "string", "description": text}
        for name, text in {**_HEADERS, **_OPTIONAL_HEADERS}.items()
    }
    properties["ce_type"]["const"] = event.TYPE
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": (event.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"type": "object", "properties": properties, "required": sorted(_HEADERS)},
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "the aggregate's id"}}},
        "examples": [{"payload": json.loads(sample(event).write())}],
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
