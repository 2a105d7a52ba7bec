import json
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from tests.bad_input.rest import World, good_body

from invoiceos_contracts import encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletActivated
from invoiceos_local.demo.client import Client
from invoiceos_local.demo.feed import Feed
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, Stack, running_stack
from testkit import warm
from testkit.platform import Platform

# Limits by rate have tests of their own; no receiver may be inside.
SETTINGS = {
    "gateway": {
        "INVOICEOS_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_PUBLIC_RATE_LIMIT_PER_SECOND": "0",
        "INVOICEOS_FAILED_LOGINS_PER_MINUTE": "0",
    },
    "notification": {"INVOICEOS_WEBHOOK_ALLOW_HOSTS": ""},
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("bad_input")
    plan = Plan(choices=Choices(own=True, fsync=False), overrides=SETTINGS, spawner=warm.spawn)
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
    return new_tenant(stack, "Patience Ltd")


@pytest.fixture(scope="session")
def other_key(stack: Stack) -> str:
    """Key of another tenant."""
    return new_tenant(stack, "Envy Inc")["api_key"]


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    limits = aiohttp.TCPConnector(limit=16)
    patience = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=limits, timeout=patience) as session:
        yield session


@pytest.fixture(scope="session")
async def platform(
    stack: Stack, tenant: dict[str, str], http: aiohttp.ClientSession
) -> AsyncIterator[Platform]:
    async with Feed(stack.infrastructure.kafka_bootstrap, lambda _: None) as feed:
        client = Client(http, stack.urls["gateway"], tenant["api_key"])
        yield Platform(stack, client, feed, {})


@pytest.fixture(scope="session")
async def world(stack: Stack, tenant: dict[str, str], platform: Platform) -> World:
    """A tenant with one of each thing that the cases try to damage."""
    client = platform.client
    customer = await client.post("/api/v1/customers", good_body("POST /api/v1/customers"))
    draft = await client.post("/api/v1/invoices", good_body("POST /api/v1/invoices"))
    endpoint = await client.post(
        "/api/v1/webhook-endpoints", good_body("POST /api/v1/webhook-endpoints")
    )
    invoice_id, issued = await platform.issue()
    await platform.feed.until(EphemeralWalletActivated, invoice_id, seconds=60)
    await platform.quiet()
    return World(
        url=stack.urls["gateway"],
        api_key=tenant["api_key"],
        operator=stack.administration_env()["INVOICEOS_OPERATOR_TOKEN"],
        ids={
            "customer": customer["id"],
            "draft": draft["id"],
            "invoice": encode("inv", invoice_id),
            "wallet": encode("wal", issued.wallet_id),
            "endpoint": endpoint["id"],
        },
    )
