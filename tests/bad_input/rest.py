"""The door of requests: how a case becomes one, and what its answer must be."""

import asyncio
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from tests.bad_input.catalogue import CASES, Case
from yarl import URL

AT_ONCE = 8
PROBLEM = "application/problem+json"
_HOLE = "\ue123"
_GOOD: Mapping[str, str] = tomllib.loads((CASES.parent / "good.toml").read_text())


@dataclass(frozen=True, slots=True)
class World:
    """Whom and what the cases are tried on."""

    url: str
    api_key: str
    operator: str
    ids: Mapping[str, str]
    """Ids of things that are there, by the names that places use."""


def good_body(operation: str) -> Any:
    """The good body of an operation; None where it takes none."""
    text = _GOOD.get(operation, "")
    return json.loads(text) if text else None


def spliced(body: Any, path: str, value: bytes) -> bytes:
    """A body with this JSON text at a path."""
    target = body
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if part.isdigit() else target.setdefault(part, {})
    target[last] = _HOLE
    before, after = json.dumps(body, ensure_ascii=False).encode().split(f'"{_HOLE}"'.encode())
    return before + value + after


def _body(case: Case) -> bytes | None:
    place, body = case.place, good_body(case.place.target)
    if place.part == "body+":
        return json.dumps(body | json.loads(case.sent)).encode()
    if place.part != "body":
        return None if body is None else json.dumps(body).encode()
    return spliced(body, place.name, case.in_json) if place.name else case.sent


def _address(case: Case, world: World) -> str:
    path = case.place.target.partition(" ")[2].replace("{}", "{value}")
    value = case.sent.decode() if case.place.part == "path" else ""
    address = world.url + path.format(**world.ids, value=value)
    if case.place.part != "query":
        return address
    if case.place.name:
        return f"{address}?{case.place.name}={quote(case.sent, safe='')}"
    return f"{address}?{case.sent.decode()}"


def _headers(case: Case, world: World) -> dict[str, str]:
    key = world.operator if "/tenants" in case.place.target else world.api_key
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if case.place.part == "header":
        headers[case.place.name] = case.sent.decode()
    return headers


async def send(
    http: aiohttp.ClientSession, world: World, case: Case
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of the answer to a case."""
    method = case.place.target.partition(" ")[0]
    async with http.request(
        method,
        URL(_address(case, world), encoded=True),
        data=_body(case),
        headers=_headers(case, world),
        allow_redirects=False,
    ) as answer:
        return answer.status, answer.headers, await answer.read()


def wrong(case: Case, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """What is wrong with the answer to a case; empty where nothing is."""
    expected, _, code = case.expected.partition(" ")
    if code == "kept":
        return _not_kept(case, status, body)
    if b"Traceback" in body or b'.py"' in body:
        return f"shows its inside: {body[:300]!r}"
    if headers.get("Content-Type") != PROBLEM:
        return f"{status} {headers.get('Content-Type')}: {body[:300]!r}"
    problem = json.loads(body)
    if (status, problem["status"]) != (int(expected), int(expected)):
        return f"wanted {case.expected}, got {status} {problem}"
    if code and problem["code"] != code:
        return f"wanted {case.expected}, got {problem}"
    return ""


def _not_kept(case: Case, status: int, body: bytes) -> str:
    if status != 201:
        return f"wanted 201, got {status} {body[:300]!r}"
    kept = json.loads(body)[case.place.name]
    return "" if kept == json.loads(case.in_json) else f"kept as {kept!r}"


async def try_all(http: aiohttp.ClientSession, world: World, cases: Sequence[Case]) -> None:
    """Try every case, several at once; fails with what is wrong by the name of each case."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def tried(case: Case) -> tuple[str, str]:
        async with turn:
            try:
                return case.name, wrong(case, *await send(http, world, case))
            except (aiohttp.ClientError, ValueError, KeyError) as error:
                return case.name, repr(error)

    found = await asyncio.gather(*(tried(case) for case in cases))
    failed = [f"{name}: {what}" for name, what in found if what]
    assert not failed, "\n".join([f"{len(failed)} of {len(found)}", *failed])
