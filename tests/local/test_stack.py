"""What a tool that breaks things needs of a stack: parts that stay dead, a proxy in the way."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aiokafka.client import AIOKafkaClient

from invoiceos_local.kafka import Front
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.resolver import Choices, Infrastructure
from invoiceos_local.stack import Plan, Stack, running_stack
from invoiceos_local.tempo import answers

SUPERVISED_SECONDS = 1.0
"""The supervisor looks four times a second."""


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def chain_alone(**more: object) -> Plan:
    choices = Choices(own=True, embedded=True)
    return Plan(services=(), needs=frozenset({"tempo"}), choices=choices, **more)


def test_what_is_left_dead_is_started_again_only_after_the_block(tmp_path: Path) -> None:
    with running_stack(tmp_path, chain_alone(restart_dead=True)) as stack:
        with stack.left_dead("tempo"):
            stack.kill("tempo", signal.SIGKILL)
            until(lambda: not stack.is_alive("tempo"))
            time.sleep(SUPERVISED_SECONDS)
            assert not stack.is_alive("tempo")
        until(lambda: answers(stack.infrastructure.tempo_rpc_url))
        assert stack.is_alive("tempo")


def test_services_are_told_the_addresses_of_a_proxy_and_operators_the_real_ones(
    tmp_path: Path,
) -> None:
    def through(found: Infrastructure) -> Infrastructure:
        return replace(found, postgres_url="postgresql://postgres@proxy.test:1/postgres")

    stack = Stack(tmp_path, Plan(services=("invoice",), reroute=through))
    told = stack.env_for("invoice")["INVOICEOS_DATABASE_API_URL"]
    assert told.rpartition("@")[2] == "proxy.test:1/invoiceos"
    assert "proxy.test" not in stack.administration_env()["INVOICEOS_DATABASE_ADMIN_URL"]


async def test_a_broker_tells_each_client_the_address_it_came_by(tmp_path: Path) -> None:
    front = Front(port=free_port(), advertised_port=free_port())
    choices = Choices(own=True, embedded=True, kafka_front=front)
    plan = Plan(services=(), needs=frozenset({"kafka"}), choices=choices)
    with running_stack(tmp_path, plan) as stack:
        direct = stack.infrastructure.kafka_bootstrap
        assert await broker_named_by(direct) == direct
        assert (
            await broker_named_by(f"{LOOPBACK}:{front.port}")
            == f"{LOOPBACK}:{front.advertised_port}"
        )


async def broker_named_by(bootstrap: str) -> str:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    try:
        await client.bootstrap()
        (broker,) = client.cluster.brokers()
        return f"{broker.host}:{broker.port}"
    finally:
        await client.close()
