import os
from collections.abc import AsyncIterator

import pytest

from chassis import topics
from invoiceos_local.resolver import Infrastructure
from messaging import KafkaAccess
from testkit.service import ServiceUnderTest, under_test
from toy_service.app import service


@pytest.fixture
async def toy(make_database) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, make_database("toy_service")) as unit:
        yield unit


@pytest.fixture(scope="session")
async def broker(infra: Infrastructure) -> str:
    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    return infra.kafka_bootstrap


def names(count: int, prefix: str = "n") -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


os.environ.setdefault("INVOICEOS_ENVIRONMENT", "test")
