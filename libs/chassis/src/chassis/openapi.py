"""The OpenAPI document of a service: with the problems that its routes really answer."""

from typing import Any

from fastapi import FastAPI

from chassis.problems import MEDIA_TYPE

Json = dict[str, Any]
WRITES = ("post", "put", "patch", "delete")
VERBS = ("get", *WRITES, "head", "options")
PROBLEM: Json = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457). Programs go by `code`, which never changes.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "examples": ["invalid_request"]},
        "detail": {"type": "string"},
        "data": {"type": "object", "additionalProperties": True},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_ANYWHERE = {
    400: "The request cannot be read: its body is no strict JSON, or its query is ambiguous.",
    401: "The credentials are missing or not known.",
    403: "The credentials do not allow this.",
    404: "There is nothing of this name that the caller may see.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field or parameter is not acceptable; `errors` says which.",
    503: "Something this needs cannot be reached at this moment.",
}
_OF_WRITES = {
    409: "The state of the thing does not allow this, or the same request is still running.",
    412: "The thing has changed since the version that If-Match names.",
}
_REPLACED = frozenset({"HTTPValidationError", "ValidationError"})
"""What FastAPI claims to answer to bad input; we answer with a problem document."""


def problem_response(description: str) -> Json:
    """How a problem is documented."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def with_problems(document: Json) -> Json:
    """A document with a problem for every status that a route can refuse with."""
    for item in document.get("paths", {}).values():
        for verb in VERBS:
            if verb in item:
                told = _ANYWHERE | (_OF_WRITES if verb in WRITES else {})
                responses = item[verb].setdefault("responses", {})
                responses |= {
                    str(status): problem_response(text) for status, text in sorted(told.items())
                }
    schemas: Json = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _REPLACED & schemas.keys():
        del schemas[name]
    schemas["Problem"] = PROBLEM
    return document


class Documented(FastAPI):
    """An application whose document says what it answers when it refuses."""

    def openapi(self) -> Json:
        """The document, made at the first use."""
        if self.openapi_schema is None:
            with_problems(super().openapi())
        found: Json = self.openapi_schema or {}
        return found
