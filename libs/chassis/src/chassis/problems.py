"""Errors as RFC 9457 problem documents, each with a stable `code`."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from messaging import Kind, Refusal
from messaging.faults import TRANSIENT, is_transient
from money import MoneyError

log = structlog.get_logger()
STATUS: Mapping[Kind, int] = {
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.REFUSED: 409,
    Kind.PRECONDITION: 412,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}
MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, title: str, detail: str = "", **more: object) -> JSONResponse:
    """A problem document."""
    body: dict[str, object] = {
        "type": f"https://docs.invoiceos.dev/problems/{code}",
        "title": title,
        "status": status,
        "code": code,
    }
    if detail and detail != title:
        body["detail"] = detail
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse(body | more, status, headers, MEDIA_TYPE)


def of_refusal(refusal: Refusal) -> JSONResponse:
    """The document of a named condition."""
    more = {"data": refusal.data} if refusal.data else {}
    status = _OWN_STATUS.get(type(refusal), STATUS[refusal.kind])
    return problem(status, refusal.code, refusal.title, refusal.detail, **more)


class BadBody(Refusal):
    """The body is not the JSON we take."""

    code = "malformed_body"
    kind = Kind.INVALID
    title = "The body is not acceptable JSON"


class BadQuery(Refusal):
    """The query can be read in two ways."""

    code = "invalid_query"
    kind = Kind.INVALID
    title = "The query is not acceptable"


class BodyTooLarge(Refusal):
    """The body is larger than allowed."""

    code = "body_too_large"
    kind = Kind.INVALID
    title = "The body is larger than this service takes"


class NotJson(Refusal):
    """The body is of another media type."""

    code = "unsupported_media_type"
    kind = Kind.INVALID
    title = "Send the body as application/json"


_OWN_STATUS: Mapping[type[Refusal], int] = {
    BadBody: 400,
    BadQuery: 400,
    BodyTooLarge: 413,
    NotJson: 415,
}


async def _refused(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, Refusal)
    return of_refusal(error)


async def _money(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, MoneyError)
    return problem(422, error.code, "The amount is not acceptable", str(error))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    fields = [
        {"field": ".".join(str(part) for part in item["loc"]), "message": _plain(item["msg"])}
        for item in error.errors()[:50]
    ]
    return problem(422, "invalid_request", "The request is not valid", errors=fields)


def _plain(message: str) -> str:
    """Text that can always be written as JSON."""
    return message.encode("utf-8", "replace").decode()[:500]


async def _http(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    answer = problem(error.status_code, code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request.failed", path=request.url.path, exc_info=error)
    return problem(500, "internal_error", "Something went wrong on our side; nothing was changed")


async def _passing(request: Request, error: Exception) -> JSONResponse:
    """A database that restarts, say: who reads has only to ask again."""
    if not is_transient(error):
        return await _unexpected(request, error)
    log.warning("request.unavailable", path=request.url.path, error=repr(error)[:500])
    return problem(503, "unavailable", "Something this needs cannot be reached; try again shortly")


def install(app: FastAPI) -> None:
    """Answer every failure of this application with a problem document."""
    handlers: dict[Any, Any] = {
        Refusal: _refused,
        MoneyError: _money,
        RequestValidationError: _invalid,
        HTTPException: _http,
        **dict.fromkeys(TRANSIENT, _passing),
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
