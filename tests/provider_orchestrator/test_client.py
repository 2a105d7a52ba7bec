"""One question to a node has one deadline, however the node spends it."""

import asyncio

import pytest

from provider_orchestrator.providers.chain.client import Call, RpcClient, Unavailable


async def test_a_node_that_drips_its_answer_is_too_slow():
    async def drip(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, RpcClient(f"http://127.0.0.1:{port}", timeout_s=0.3) as client:
        with pytest.raises(Unavailable):
            await client.ask(Call("eth_chainId"))
        server.close()
