"""One platform with security on: every service a process and a principal of its own."""

import json
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest
from click.testing import Result
from typer.testing import CliRunner

from access.administration import Administration
from chassis.cli import app
from chassis.settings import load
from invoiceos_local.demo.client import Client
from invoiceos_local.demo.feed import Feed
from invoiceos_local.resolver import Choices
from invoiceos_local.stack import Plan, Stack, running_stack
from testkit.platform import Platform
from testkit.secured import SecuredKafka

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    choices = Choices(own=True, embedded=True, security=True, fsync=False)
    overrides = {"gateway": {"INVOICEOS_RATE_LIMIT_PER_SECOND": "0"}}
    plan = Plan(choices=choices, overrides=overrides, auditor=True)
    with running_stack(tmp_path_factory.mktemp("secured"), plan) as started:
        yield started


@pytest.fixture(scope="session")
def kafka(stack: Stack) -> SecuredKafka:
    return SecuredKafka(stack.infrastructure, stack.secrets.kafka_password_seed)


@pytest.fixture
def broker(kafka: SecuredKafka) -> Iterator[Administration]:
    with Administration(kafka.operator) as opened:
        yield opened


@pytest.fixture(scope="session")
def run(stack: Stack) -> Run:
    """Runs an `invoiceos` command as the operator; in here, for its imports cost seconds."""

    def call(*arguments: str, code: int = 0, **settings: str) -> Result:
        load.cache_clear()
        done = CliRunner().invoke(app, arguments, env={**stack.administration_env(), **settings})
        load.cache_clear()
        assert done.exit_code == code, done.output
        return done

    return call


@pytest.fixture(scope="session")
def tenant(run: Run) -> dict[str, str]:
    return json.loads(run("tenant", "create", "Guarded Ltd", "--json").stdout)


@pytest.fixture(scope="session")
async def platform(stack: Stack, tenant: dict[str, str]) -> AsyncIterator[Platform]:
    found = stack.infrastructure
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
        Feed(found.kafka_bootstrap, lambda _: None, options=found.kafka_options()) as feed,
    ):
        yield Platform(stack, Client(http, stack.urls["gateway"], tenant["api_key"]), feed, {})
