"""What endpoints are made of: writes that coalesce, reads inside a tenant, pages, versions."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from chassis.auth import Caller, caller_of
from chassis.inputs import Number
from chassis.sealing import Sealer
from invoiceos_contracts import Sealed, decode, encode
from messaging import Answer, Command, Database, Kind, Refusal, RequestKey, Tx, Writer

R = TypeVar("R")
T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)
KEY_LENGTH_MAX = 255


class BadIdempotencyKey(Refusal):
    """The key cannot be used."""

    code = "invalid_idempotency_key"
    kind = Kind.INVALID
    title = "Idempotency-Key must be 1 to 255 visible ASCII characters"


class BadVersion(Refusal):
    """If-Match does not name a version."""

    code = "invalid_if_match"
    kind = Kind.INVALID
    title = 'If-Match must be a version as ETag gave it, for example "3"'


class BadCursor(Refusal):
    """The cursor is not one of ours."""

    code = "invalid_cursor"
    kind = Kind.INVALID
    title = "Use next_cursor of the page before"


class Write:
    """Hands a request to a command, in one transaction with whoever waits at the same moment."""

    def __init__(self, request: Request, caller: Caller) -> None:
        """Bind to one request."""
        self._request = request
        self._caller = caller

    async def __call__(
        self,
        command: Command[R, T],
        item: R,
        *,
        answer: Callable[[T], BaseModel | None],
        status: int = 200,
        headers: Callable[[T], Mapping[str, str]] = lambda _: {},
        sealer: Sealer | None = None,
    ) -> Response:
        """Run the command for this request and answer; raises the `Refusal` the command gave.

        With a sealer the answer is stored sealed: for one that holds a secret.
        """
        writer: Writer = self._request.app.state.writer

        def render(result: T) -> Answer:
            view = answer(result)
            body = b"" if view is None else view.model_dump_json().encode()
            kept = None if sealer is None else _sealed(body, sealer)
            return Answer(status, body, headers(result), kept=kept)

        given = await writer.submit(
            command,
            item,
            tenant_id=self._caller.tenant_id,
            answer=render,
            key=await self._key(),
        )
        more = {"Idempotency-Replayed": "true"} if given.replayed else {}
        body = _opened(given.body, sealer) if sealer and given.replayed else given.body
        return Response(
            body or None,
            given.status_code,
            {**given.headers, **more},
            "application/json" if body else None,
        )

    async def _key(self) -> RequestKey | None:
        key = self._request.headers.get("idempotency-key")
        if key is None:
            return None
        if not 0 < len(key) <= KEY_LENGTH_MAX or not (key.isascii() and key.isprintable()):
            raise BadIdempotencyKey
        url = self._request.url
        route = f"{self._request.method} {url.path}"
        body = await self._request.body()
        match = self._request.headers.get("if-match", "")
        return RequestKey.of(
            self._caller.tenant_id, route, key, url.query.encode(), match.encode(), body
        )


_KEPT = "an answer kept for replays"


def _sealed(body: bytes, sealer: Sealer) -> bytes:
    sealed = sealer.seal(body.decode(), subject=_KEPT, data_key=Sealer.new_data_key())
    return sealed.model_dump_json().encode()


def _opened(kept: bytes, sealer: Sealer) -> bytes:
    return sealer.open(Sealed.model_validate_json(kept), subject=_KEPT).encode()


async def _write(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Write:
    return Write(request, caller)


async def _read(
    request: Request, caller: Annotated[Caller, Depends(caller_of)]
) -> AsyncIterator[Tx]:
    database: Database = request.app.state.api_database
    async with database.transaction([caller.tenant_id]) as tx:
        yield tx


Writing = Annotated[Write, Depends(_write)]
"""Parameter type of an endpoint that writes."""
Reading = Annotated[Tx, Depends(_read)]
"""Parameter type of an endpoint that reads: a transaction that shows the caller's tenant alone."""


class Page(BaseModel, Generic[V]):
    """Part of a list; `next_cursor` is null on the last page."""

    items: Sequence[V]
    next_cursor: str | None


Limit = Annotated[Number, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=64)]


def cursor_of(item_id: UUID) -> str:
    """Cursor that continues after this id; ids are UUIDv7, so lists are in order of time."""
    return encode("cur", item_id)


def after(cursor: str | None) -> UUID | None:
    """The id a cursor continues after."""
    if cursor is None:
        return None
    try:
        return decode("cur", cursor)
    except ValueError as error:
        raise BadCursor from error


def etag(version: int) -> dict[str, str]:
    """Header that names a version."""
    return {"ETag": f'"{version}"'}


async def expected_version(request: Request) -> int | None:
    """The version `If-Match` names; None where the caller does not care."""
    value = request.headers.get("if-match")
    if value is None or value == "*":
        return None
    digits = value.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 18):
        raise BadVersion
    return int(digits)


ExpectedVersion = Annotated[int | None, Depends(expected_version)]


def page(items: Sequence[V], limit: int, id_of: Callable[[V], UUID]) -> dict[str, Any]:
    """Cut `limit + 1` items to a page."""
    more = len(items) > limit
    shown = items[:limit]
    return {"items": shown, "next_cursor": cursor_of(id_of(shown[-1])) if more else None}
