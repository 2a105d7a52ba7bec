import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from invoiceos_local.demo.client import Client
from invoiceos_local.demo.feed import Feed
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, Stack, running_stack
from testkit import warm
from testkit.platform import Platform

FAST = {
    "gateway": {
        "INVOICEOS_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_PUBLIC_RATE_LIMIT_PER_SECOND": "0",
    },
    "provider-orchestrator": {"INVOICEOS_TEMPO_OPEN_S": "1"},
}


@pytest.fixture(scope="session")
def overrides() -> dict[str, dict[str, str]]:
    return {name: dict(settings) for name, settings in FAST.items()}


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, overrides: dict[str, dict[str, str]]
) -> Iterator[Stack]:
    """Everything, as `make up` starts it, on infrastructure of its own."""
    folder: Path = tmp_path_factory.mktemp("stack")
    plan = Plan(
        choices=Choices(own=True),
        overrides=overrides,
        restart_dead=True,
        sandbox=True,
        spawner=warm.spawn,
    )
    with running_stack(folder, plan) as started:
        yield started


def new_tenant(stack: Stack, name: str) -> dict[str, str]:
    """A company of its own, made as an operator makes it."""
    environment = {**os.environ, **stack.administration_env()}
    log = stack.folder / f"tenant-{uuid.uuid4().hex[:8]}.log"
    command = stack.command("tenant", "create", name, "--json")
    return json.loads(warm.run(command, environment, log))


@pytest.fixture(scope="session")
def tenant(stack: Stack) -> dict[str, str]:
    return new_tenant(stack, "Journeys Ltd")


@pytest.fixture(scope="session")
def other_tenant(stack: Stack) -> dict[str, str]:
    return new_tenant(stack, "Rivals Inc")


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture(scope="session")
async def platform(
    stack: Stack, tenant: dict[str, str], http: aiohttp.ClientSession, overrides
) -> AsyncIterator[Platform]:
    async with Feed(stack.infrastructure.kafka_bootstrap, lambda _: None) as feed:
        client = Client(http, stack.urls["gateway"], tenant["api_key"])
        yield Platform(stack, client, feed, overrides)


@pytest.fixture(scope="session")
def rival(stack: Stack, other_tenant: dict[str, str], http: aiohttp.ClientSession) -> Client:
    return Client(http, stack.urls["gateway"], other_tenant["api_key"])
