"""Reading a request's body: bounded, and stricter than JSON parsers are by default."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from chassis.problems import BadBody, BodyTooLarge, NotJson

DEPTH_MAX = 32
BODY_BYTES_MAX = 262_144


def parse(body: bytes) -> Any:
    """JSON text to Python; refuses what lenient parsers let through.

    NaN and infinities, numbers that only a float could hold to infinity, keys given twice, lone
    surrogates, NUL, deep nesting, anything but UTF-8.
    """
    try:
        # First a parser whose depth is bounded by itself: CPython's is bounded by the recursion
        # limit, and where something has raised that, deep nesting ends the process.
        from_json(body, allow_inf_nan=False, cache_strings=False)
        text = body.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number
        )
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadBody(str(error)[:200] if isinstance(error, ValueError) else "") from None
    _check(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadBody("A key is given twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise BadBody(f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadBody("A number is too large")
    return value


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise BadBody(f"The body is nested more than {DEPTH_MAX} deep")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text or any(
        "\ud800" <= letter <= "\udfff" for letter in text if letter > "\ud7ff"
    ):
        raise BadBody("Text holds a NUL or half of a surrogate pair")


async def _bounded_body(request: Request) -> bytes:
    """The body; refused as soon as it is longer than the limit, whatever its header promised."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise BodyTooLarge(f"The limit is {BODY_BYTES_MAX} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _is_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or media.endswith("+json")


class StrictRoute(APIRoute):
    """Reads bodies within a limit, strictly: `APIRouter(route_class=StrictRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read and parse before FastAPI does, and hand it the result."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            body = await _bounded_body(request)
            request._body = body
            if body:
                if not _is_json(request):
                    raise NotJson
                request._json = parse(body)
            return await handler(request)

        return strict
