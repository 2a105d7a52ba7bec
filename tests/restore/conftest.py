"""A platform for each drill: what one breaks, or leaves broken, the next never meets."""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from invoiceos_local.demo.client import Client
from invoiceos_local.demo.feed import Feed
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, Stack, running_stack
from testkit.platform import Platform

FAST = {
    "gateway": {"INVOICEOS_RATE_LIMIT_PER_SECOND": "0"},
    "provider-orchestrator": {"INVOICEOS_TEMPO_OPEN_S": "1"},
}


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything; what dies stays dead until the drill starts it again."""
    plan = Plan(choices=Choices(own=True), overrides=FAST)
    with running_stack(tmp_path_factory.mktemp("stack"), plan) as started:
        yield started


@pytest.fixture
async def platform(stack: Stack) -> AsyncIterator[Platform]:
    """One company on it, and a feed of every fact."""
    made = subprocess.run(
        stack.command("tenant", "create", "Drills Ltd", "--json"),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **stack.administration_env()},
    )
    tenant = json.loads(made.stdout)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
        Feed(stack.infrastructure.kafka_bootstrap, lambda _: None) as feed,
    ):
        client = Client(http, stack.urls["gateway"], tenant["api_key"])
        yield Platform(stack, client, feed, FAST)
