"""One OpenAPI document out of those of all services."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chassis.openapi import PROBLEM, VERBS, WRITES, problem_response, with_problems
from gateway.edge.routes import Where, find

Json = dict[str, Any]
_OWN = "gateway"
_REPEATABLE = "/api/v1/operations/"
"""What operators do is the same done twice: a second time nothing is open any more."""
_SCHEME = "apiKey"
_OF_THE_EDGE = {
    400: "The request cannot be read: its path, query, headers or body are ambiguous.",
    408: "The body did not arrive in time.",
    414: "The address is too long.",
    429: "Too many requests; Retry-After says when to go on.",
    502: "The service broke off, or its name cannot be reached.",
    504: "The service did not answer in time; a write may have been carried out.",
}
_OF_CALLERS = ("401", "403")
"""Nobody gets these where nobody says who he is."""
_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "Your own name for this write, 1 to 255 visible ASCII characters. Sent again with the same"
        " body it gives the first answer again, byte for byte, and changes nothing."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_HEALTH: Json = {
    "get": {
        "operationId": "get_health",
        "summary": "Get Health",
        "description": "How every service is; 503 when one is not ready.",
        "responses": {
            str(status): {
                "description": text,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Health"}}
                },
            }
            for status, text in ((200, "All services are ready."), (503, "One of them is not."))
        },
    }
}
_HEALTH_SCHEMA: Json = {
    "type": "object",
    "title": "Health",
    "required": ["status", "services"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "degraded"]},
        "services": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "state": {"type": "string", "enum": ["ready", "not_ready", "unreachable"]}
                },
            },
        },
    },
}
_DESCRIPTION = """\
Send your API key as a bearer token. Amounts are whole numbers of minor units: 1250 USD is 12.50
dollars. Every write takes an `Idempotency-Key`, lists go on with `cursor`, updates take `If-Match`.
"""


def merge(documents: Mapping[str, Json], own: Json) -> Json:
    """One document of the gateway's own and those of the services, by name.

    Only what the gateway lets through is in it. A component whose name two services use for
    different things gets the service's name before its own.
    """
    schemas: Json = {"Problem": PROBLEM, "Health": _HEALTH_SCHEMA}
    paths: Json = {}
    for service, document in [(_OWN, own), *sorted(documents.items())]:
        part = with_problems(_renamed(copy.deepcopy(document), service, schemas))
        schemas |= part.get("components", {}).get("schemas", {})
        for path, item in part.get("paths", {}).items():
            if _answers(service, path):
                paths[path] = _described(service, path, item)
    paths["/api/health"] = _described(_OWN, "/api/health", copy.deepcopy(_HEALTH))
    services = [_OWN, *sorted(documents)]
    used = {operation["tags"][0] for item in paths.values() for operation in _operations(item)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Invoice OS",
            "version": own.get("info", {}).get("version", "0"),
            "description": _DESCRIPTION,
        },
        "tags": [{"name": name} for name in services if name in used],
        "security": [{_SCHEME: []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                _SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: `iok_...`",
                }
            },
        },
    }


def _answers(service: str, path: str) -> bool:
    route = find(path)
    return route is not None and route.to == (Where.OWN if service == _OWN else service)


def _operations(item: Json) -> Iterator[Json]:
    return (item[verb] for verb in VERBS if verb in item)


def _renamed(document: Json, service: str, taken: Json) -> Json:
    """The document with names of its own for schemas that are called like different ones."""
    schemas: Json = document.get("components", {}).get("schemas", {})
    names = {
        name: _prefixed(service, name)
        for name, schema in schemas.items()
        if name in taken and taken[name] != schema
    }
    kept = {names.get(n, n): schema for n, schema in schemas.items()}
    references = {
        f"#/components/schemas/{n}": f"#/components/schemas/{m}" for n, m in names.items()
    }
    renamed: Json = _with_references(
        {"paths": document.get("paths", {}), "components": {"schemas": kept}}, references
    )
    return renamed


def _prefixed(service: str, name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[-_]", service)) + name


def _with_references(value: Any, references: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: references.get(item, item)
            if key == "$ref" and isinstance(item, str)
            else _with_references(item, references)
            for key, item in value.items()
        }
    return (
        [_with_references(item, references) for item in value] if isinstance(value, list) else value
    )


def _described(service: str, path: str, item: Json) -> Json:
    """A path with what the gateway adds: problems, the key, the idempotency key, its service."""
    route = find(path)
    public = route is not None and route.public
    for verb in VERBS:
        operation = item.get(verb)
        if operation is None:
            continue
        operation["tags"] = [service]
        operation["operationId"] = f"{service}_{operation.get('operationId', verb + path)}"
        responses = operation.setdefault("responses", {})
        responses |= {str(code): problem_response(text) for code, text in _OF_THE_EDGE.items()}
        if public:
            operation["security"] = []
            for status in _OF_CALLERS:
                responses.pop(status, None)
        given = {parameter.get("name", "").lower() for parameter in operation.get("parameters", [])}
        repeatable = public or path.startswith(_REPEATABLE)
        if verb in WRITES and not repeatable and "idempotency-key" not in given:
            operation.setdefault("parameters", []).append(dict(_IDEMPOTENCY_KEY))
    return item
