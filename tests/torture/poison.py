"""Records that break the contract, who must put them aside, and how an operator clears them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from tests.torture.arena import Arena, NotBack
from tests.torture.topics import Headers, Place
from uuid_utils.compat import uuid7

from chassis.cli import services
from invoiceos_contracts import encode
from messaging import Database, dead_letters
from messaging.consuming import Subscriptions

ASIDE_SECONDS = 60
IN_STATE = """
    select topic, partition, record_offset from {schema}.dead_letter where state = any($1)
"""


@dataclass(frozen=True, slots=True)
class Poison:
    """A broken record; it has no key of its own yet."""

    kind: str
    headers: Headers
    value: bytes | None
    read_by_type: str | None
    """Put aside only by those who ask for this type; None: by all who read the topic."""
    ignored: bool = False
    """A type nobody knows: nobody has to put it aside."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A service and what it subscribes to."""

    service: str
    topics: Sequence[str]
    types: frozenset[str]


Readers = Sequence[Reader]
Kind = Callable[[Any], Poison]


@cache
def readers() -> Readers:
    """Every service that reads topics."""
    found = []
    for name, service in services().items():
        if service.subscriptions:
            mine = Subscriptions(service.group or name, service.subscriptions)
            found.append(Reader(name, mine.topics, mine.types))
    return found


def _headers(model: Any, **other: bytes) -> Headers:
    changed = dict(model.headers) | {"ce_id": str(uuid7()).encode()} | other
    return tuple(changed.items())


def _by_type(model: Any) -> str:
    return bytes(dict(model.headers)["ce_type"]).decode()


def wrong_schema(model: Any) -> Poison:
    return Poison("wrong schema", _headers(model), b'{"tenant_id": 7}', _by_type(model))


def other_tenant(model: Any) -> Poison:
    tenant = encode("ten", uuid7()).encode()
    return Poison("another tenant", _headers(model, ce_tenant=tenant), model.value, _by_type(model))


def bad_utf8_header(model: Any) -> Poison:
    return Poison("bad UTF-8 in a header", _headers(model, ce_id=b"\xff\xfe"), model.value, None)


def bad_utf8_value(model: Any) -> Poison:
    return Poison("bad UTF-8", _headers(model), b'{"tenant_id": "\xff\xfe"}', _by_type(model))


def unknown_envelope(model: Any) -> Poison:
    return Poison(
        "unknown envelope version", _headers(model, ce_specversion=b"9.9"), model.value, None
    )


def unknown_type(model: Any) -> Poison:
    kind = dict(model.headers)["ce_type"].rpartition(b".")[0] + b".v99"
    headers = _headers(model, ce_type=kind)
    return Poison("unknown event version", headers, model.value, None, ignored=True)


def deep_nesting(model: Any) -> Poison:
    value = b"[" * 100_000 + b"]" * 100_000
    return Poison("deep nesting", _headers(model), value, _by_type(model))


def huge(model: Any) -> Poison:
    value = b'{"tenant_id": "' + b"x" * 900_000 + b'"}'
    return Poison("900 KB", _headers(model), value, _by_type(model))


def no_headers(model: Any) -> Poison:
    return Poison("no headers", (), model.value, None)


def no_value(model: Any) -> Poison:
    return Poison("no value", _headers(model), None, _by_type(model))


def null_bytes(model: Any) -> Poison:
    headers = (*_headers(model, ce_tenant=b"ten\x00"), ("x\x00", b"\x00"))
    return Poison("NUL in headers", headers, b"\x00", None)


KINDS: Sequence[Kind] = (
    wrong_schema,
    other_tenant,
    bad_utf8_header,
    bad_utf8_value,
    unknown_envelope,
    unknown_type,
    deep_nesting,
    huge,
    no_headers,
    no_value,
    null_bytes,
)


async def until_put_aside(
    arena: Arena, everyone: Readers, placed: Mapping[Place, Poison], *, clear: bool = True
) -> None:
    """Wait until exactly these records are dead letters of exactly their readers, then clear them.

    Raises NotBack when one is missing, or when anything else was put aside.
    """
    wrong: list[str] = []

    async def right() -> bool:
        wrong.clear()
        for reader in everyone:
            wanted = {place for place, poison in placed.items() if _reads(reader, place, poison)}
            found = await letters(arena, reader, "dead")
            wrong.extend(f"{reader.service} lacks {placed[p].kind}" for p in wanted - found)
            wrong.extend(f"{reader.service} put aside {place}" for place in found - wanted)
        return not wrong

    try:
        await _until(right, lambda: f"dead letters are not as they must be: {sorted(wrong)[:6]}")
    finally:
        if clear:
            for reader in everyone:
                await discard(arena, reader, list(placed))


async def until_parked(arena: Arena, everyone: Readers, key: str) -> None:
    """Wait until each of these readers has something parked behind a dead letter of this key."""
    missing: list[str] = []

    async def right() -> bool:
        missing.clear()
        for reader in everyone:
            rows = await arena.sql(
                f"select from {_schema(reader)}.dead_letter where record_key = $1"
                " and state = 'parked'",
                key.encode(),
            )
            missing.extend([] if rows else [reader.service])
        return not missing

    await _until(right, lambda: f"nothing was parked behind {key} by {missing}")


async def release(arena: Arena, everyone: Readers, place: Place) -> None:
    """Set a broken record aside for good and let what waits behind it be handled, as a person would.

    Raises NotBack when something still waits afterwards.
    """
    for reader in everyone:
        await discard(arena, reader, [place])
        rows = await arena.sql(
            f"select id from {_schema(reader)}.dead_letter where state = 'parked' limit 1"
        )
        for row in rows:
            await _replay(arena, reader, row["id"])
    left: set[Place] = set()

    async def right() -> bool:
        left.clear()
        for reader in everyone:
            left.update(await letters(arena, reader, "dead", "parked", "replaying"))
        return not left

    await _until(right, lambda: f"after the replay there still wait {sorted(map(str, left))[:6]}")


async def _replay(arena: Arena, reader: Reader, letter: UUID) -> None:
    """What `invoiceos dead-letters replay` does."""
    url = arena.stack.env_for(reader.service)["INVOICEOS_DATABASE_WORKER_URL"]
    database = await Database.open(url, _schema(reader), size=2)
    try:
        async with database.transaction() as tx:
            await dead_letters.release(tx, [letter])
    finally:
        await database.close()


async def _until(right: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + ASIDE_SECONDS
    while not await right():
        if time.monotonic() > deadline:
            raise NotBack(what())
        await asyncio.sleep(0.3)


def _schema(reader: Reader) -> str:
    return reader.service.replace("-", "_")


def _reads(reader: Reader, place: Place, poison: Poison) -> bool:
    if place.topic not in reader.topics or poison.ignored:
        return False
    return poison.read_by_type is None or poison.read_by_type in reader.types


async def letters(arena: Arena, reader: Reader, *states: str) -> set[Place]:
    rows = await arena.sql(IN_STATE.format(schema=_schema(reader)), list(states))
    return {Place(row["topic"], row["partition"], row["record_offset"]) for row in rows}


async def discard(arena: Arena, reader: Reader, places: Sequence[Place]) -> None:
    """What an operator does with rubbish: look at it, and let it be."""
    await arena.sql(
        f"update {_schema(reader)}.dead_letter set state = 'resolved', resolved_at = now()"
        " where (topic, partition, record_offset) in"
        " (select * from unnest($1::text[], $2::int[], $3::bigint[]))",
        [place.topic for place in places],
        [place.partition for place in places],
        [place.offset for place in places],
    )
