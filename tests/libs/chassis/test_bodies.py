"""Bodies of others' answers are read to their end, in however many parts they come."""

import aiohttp
import pytest
from aiohttp import web

from chassis.bodies import whole

PARTS = (b'{"a": ', b"[1, 2", b"]}")


@pytest.fixture
async def address():
    """Of somebody whose answer comes in three parts."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for part in PARTS:
            await response.write(part)
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def read(address, bytes_max):
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return await whole(answer.content, bytes_max)


async def test_an_answer_in_parts_is_read_whole(address):
    assert await read(address, 100) == b"".join(PARTS)


async def test_what_is_too_long_is_not_read_on(address):
    with pytest.raises(ValueError, match="more than 8 bytes"):
        await read(address, 8)
