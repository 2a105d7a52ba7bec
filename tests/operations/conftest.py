import os
from collections.abc import AsyncIterator

import pytest

from testkit.databases import SEED
from testkit.service import ServiceUnderTest, under_test
from toy_service.app import service

os.environ.setdefault("INVOICEOS_ENVIRONMENT", "test")


@pytest.fixture
async def toy(make_database) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, make_database("toy_service")) as unit:
        yield unit


@pytest.fixture
def gateway(make_database, monkeypatch):
    """The gateway's schema, reached as an administrator would."""
    made = make_database("gateway")
    # What tests of another folder in this process may have left behind.
    monkeypatch.delenv("INVOICEOS_DATABASE_WORKER_URL", raising=False)
    monkeypatch.delenv("INVOICEOS_AUDIT_DATABASE_URL", raising=False)
    monkeypatch.setenv("INVOICEOS_DATABASE_ADMIN_URL", made.admin_url)
    monkeypatch.setenv("INVOICEOS_DATABASE_PASSWORD_SEED", SEED)
    return made
