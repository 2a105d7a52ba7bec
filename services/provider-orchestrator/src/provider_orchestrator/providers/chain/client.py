"""JSON-RPC over HTTP: batches, deadlines, and three ways to fail."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

BATCH_MAX = 100
"""Calls in one HTTP request."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024


class ChainFault(Exception):
    """The node did not serve us; one of `Unavailable`, `Throttled` and `BadAnswer`."""


class Unavailable(ChainFault):
    """It cannot be reached, is too slow, or is broken."""


class Unreachable(Unavailable):
    """Nobody was there to take the question."""


class Throttled(ChainFault):
    """It wants fewer questions."""

    def __init__(self, detail: str, retry_after_s: float | None = None) -> None:
        """Keep what the node said about when to come back."""
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class BadAnswer(ChainFault):
    """It answered, but refused the question or spoke no sense."""


@dataclass(frozen=True, slots=True)
class Call:
    """One question."""

    method: str
    parameters: tuple[Any, ...] = ()


class RpcClient:
    """One node; usable from one event loop. `async with RpcClient(...)`."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """The deadline is for each HTTP request as a whole."""
        self._url = url
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(
            timeout=timeout_s, headers={"Content-Type": "application/json"}, trust_env=False
        )
        self._spent_s = 0.0

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first question."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._http.aclose()

    def take_spent_us(self) -> int:
        """Microseconds spent waiting for the node since this was last asked."""
        spent, self._spent_s = self._spent_s, 0.0
        return int(spent * 1_000_000)

    async def ask(self, *calls: Call) -> list[Any]:
        """The results, in the order of the calls; raises a `ChainFault`."""
        results: list[Any] = []
        for first in range(0, len(calls), BATCH_MAX):
            results += await self._ask(calls[first : first + BATCH_MAX])
        return results

    async def _ask(self, calls: Sequence[Call]) -> list[Any]:
        body = [
            {"jsonrpc": "2.0", "id": place, "method": call.method, "params": call.parameters}
            for place, call in enumerate(calls)
        ]
        answers = _parse(await self._post(json.dumps(body).encode()))
        by_place = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [_result(call, by_place.get(place)) for place, call in enumerate(calls)]

    async def _post(self, body: bytes) -> bytes:
        started = time.perf_counter()
        try:
            # httpx counts its limit anew for each piece: a node that drips would never exceed it.
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.post(self._url, content=body)
        except httpx.ConnectError as error:
            raise Unreachable(f"{type(error).__name__}: {error}"[:300]) from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}"[:300]) from error
        finally:
            self._spent_s += time.perf_counter() - started
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Throttled("the node wants fewer questions", _seconds(response))
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"HTTP {response.status_code}")
        if response.status_code != httpx.codes.OK:
            raise BadAnswer(f"HTTP {response.status_code}")
        if len(response.content) > ANSWER_BYTES_MAX:
            raise BadAnswer(f"the answer has {len(response.content)} bytes")
        return response.content


def _seconds(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _parse(body: bytes) -> list[Any]:
    try:
        answers = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the answer is not JSON") from error
    if isinstance(answers, dict):
        raise BadAnswer(f"a batch was answered by one object: {str(answers.get('error'))[:200]}")
    if not isinstance(answers, list):
        raise BadAnswer("a batch was not answered by a list")
    return answers


_LIMIT_EXCEEDED = -32005


def _result(call: Call, answer: dict[str, Any] | None) -> Any:
    if answer is None:
        raise BadAnswer(f"{call.method} has no answer")
    error = answer.get("error")
    if error is not None:
        code = error.get("code") if isinstance(error, dict) else None
        if code == _LIMIT_EXCEEDED and "rate" in str(error).lower():
            raise Throttled(f"{call.method}: {str(error)[:200]}")
        raise BadAnswer(f"{call.method}: {str(error)[:200]}")
    if "result" not in answer:
        raise BadAnswer(f"{call.method} has neither result nor error")
    return answer["result"]
