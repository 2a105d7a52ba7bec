"""What a failure of ours tells the caller: that it failed, and nothing of how we are made."""

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from chassis import problems

SECRET = "postgresql://worker:password@inside/ledger"


async def answer_to(error: Exception) -> httpx.Response:
    app = FastAPI()
    problems.install(app)

    @app.get("/broken")
    async def get_broken() -> None:
        raise error

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/broken")


async def test_an_unexpected_failure_tells_nothing_of_its_cause() -> None:
    answer = await answer_to(RuntimeError(SECRET))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    for told in (SECRET, "password", "RuntimeError", "Traceback"):
        assert told not in answer.text


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError(SECRET),
        asyncpg.InternalClientError("another operation is in progress"),
        ConnectionResetError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_read_that_meets_a_passing_fault_is_to_be_sent_again(error: Exception) -> None:
    answer = await answer_to(error)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert SECRET not in answer.text


async def test_an_argument_that_cannot_be_encoded_is_no_passing_fault() -> None:
    answer = await answer_to(asyncpg.DataError(SECRET))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
