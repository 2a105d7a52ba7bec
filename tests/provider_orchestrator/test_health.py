"""A node that does not answer opens the circuit, one that answers again closes it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from orchestrator_kit import Orchestrator, a_wallet, orchestrator, settings_for

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from invoiceos_local.chain import pay
from invoiceos_local.processes import Processes
from invoiceos_local.tempo import Tempo as LocalChain
from provider_orchestrator.workers import look
from testkit.databases import ServiceDatabase


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_node_that_goes_and_comes_back_opens_and_closes_the_circuit(
    tmp_path: Any, place: ServiceDatabase
) -> None:
    processes = Processes(tmp_path)
    node = LocalChain(processes)
    node.start()
    settings = settings_for(node.rpc_url, tempo_open_s=0.2, tempo_rpc_timeout_s=0.5)
    wallet = a_wallet()
    try:
        async with orchestrator(place, settings) as one:
            await one.unit.receives(wallet)
            await look(one.watch, one.client, one.health, 0)
            node.stop()
            for _ in range(5):
                await look(one.watch, one.client, one.health, 0)
            (opened,) = await one.unit.facts(ProviderHealthChanged)
            assert (opened.old, opened.new, opened.tenant_id) == ("closed", "open", PLATFORM)
            node.start()
            await pay(node.rpc_url, 1, "PATHUSD", wallet.address, 61)

            async def closed() -> bool:
                await look(one.watch, one.client, one.health, 0)
                changes = await one.unit.facts(ProviderHealthChanged)
                return bool(changes[-1].new == "closed")

            await until(closed)
            changes = [(c.old, c.new) for c in await one.unit.facts(ProviderHealthChanged)]
            assert changes[-2:] == [("open", "half_open"), ("half_open", "closed")]
            assert any(isinstance(f, PaymentSucceeded) for f in await one.said_of(wallet))
    finally:
        node.stop()


async def test_a_head_that_stands_still_counts_where_that_is_asked_for(
    alone: Orchestrator,
) -> None:
    await look(alone.watch, alone.client, alone.health, 0)
    for _ in range(5):
        await asyncio.sleep(0.002)
        await look(alone.watch, alone.client, alone.health, 0.001)
    (opened,) = await alone.unit.facts(ProviderHealthChanged)
    assert opened.cause == "no new block"


async def test_every_way_a_node_can_answer_wrongly_is_an_observation_not_a_crash(
    running: Orchestrator,
) -> None:
    answers: list[Callable[[], httpx.Response]] = [
        lambda: httpx.Response(200, text="<html>"),
        lambda: httpx.Response(200, json={"error": {"code": -32600}}),
        lambda: httpx.Response(200, json=[]),
        lambda: httpx.Response(200, json=[{"id": 0, "result": 5}, {"id": 1, "result": {}}]),
        lambda: httpx.Response(200, json=[{"id": 0, "result": "0x1"}, {"id": 1, "result": None}]),
        lambda: httpx.Response(200, json=[{"id": n, "result": None} for n in range(9)]),
        lambda: httpx.Response(200, json=[{"id": n, "result": "0xzz"} for n in range(9)]),
        lambda: httpx.Response(403),
        lambda: httpx.Response(503),
        lambda: httpx.Response(429, headers={"retry-after": "7"}),
    ]
    for answer in answers:
        await running.client._http.aclose()
        running.client._http = httpx.AsyncClient(
            transport=httpx.MockTransport(lambda _, made=answer: made())
        )
        looked = await look(running.watch, running.client, running.health, 0)
    assert looked.rest_s == 7
    outcomes = await running.unit.worker.fetch(
        "select outcome from provider_health_observation order by id"
    )
    assert [row["outcome"] for row in outcomes] == ["infra"] * 9 + ["throttled"]
