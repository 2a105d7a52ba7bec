"""Reading a request: bounded, and stricter than parsers are by default."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.routing import APIRoute

from chassis.problems import BadBody, BadQuery, BodyTooLarge, NotJson
from invoiceos_contracts import strict_json

BODY_BYTES_MAX = 262_144
BULK_BYTES_MAX = 8 * 1_048_576
PARAMETERS_MAX = 64


def parse(body: bytes) -> Any:
    """A request's JSON to Python, as strictly as all JSON is read; raises `BadBody`."""
    try:
        return strict_json.parse(body)
    except strict_json.BadJson as error:
        raise BadBody(str(error)) from None


def check_query(query: bytes) -> None:
    """Refuse a query that two programs could read differently; raises `BadQuery`.

    A parameter given twice, a NUL, and escapes that are no UTF-8, which would become other letters.
    """
    if not query:
        return
    names = set()
    pairs = query.split(b"&")
    if len(pairs) > PARAMETERS_MAX:
        raise BadQuery(f"The limit is {PARAMETERS_MAX} parameters")
    for pair in pairs:
        text = unquote_to_bytes(pair.replace(b"+", b" "))
        try:
            known = text.decode("utf-8")
        except UnicodeDecodeError:
            raise BadQuery("Escape it as UTF-8") from None
        if "\x00" in known:
            raise BadQuery("It holds a NUL")
        name = unquote_to_bytes(pair.partition(b"=")[0])
        if name in names:
            raise BadQuery("A parameter is given twice")
        names.add(name)


async def _bounded_body(request: Request, limit: int) -> bytes:
    """The body; refused as soon as it is longer than the limit, whatever its header promised."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"The limit is {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _is_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media == "application/json" or media.endswith("+json")


class StrictRoute(APIRoute):
    """Reads queries and bodies within limits, strictly: `APIRouter(route_class=StrictRoute)`."""

    body_bytes_max: ClassVar[int] = BODY_BYTES_MAX

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Read and parse before FastAPI does, and hand it the result."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            check_query(request.scope["query_string"])
            body = await _bounded_body(request, self.body_bytes_max)
            request._body = body
            if body:
                if not _is_json(request):
                    raise NotJson
                request._json = parse(body)
            return await handler(request)

        return strict


class BulkRoute(StrictRoute):
    """Takes the body of an order of thousands of rows; the gateway lets it pass on its route."""

    body_bytes_max: ClassVar[int] = BULK_BYTES_MAX
