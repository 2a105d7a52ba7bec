"""Cards through Stripe as the sandbox plays it; the collector dies at each step that moves money."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from adapters.stage import Sandbox
from collecting_kit import Collecting, an_invoice
from collector_process import work

from invoiceos_contracts.payment_v1 import PaymentSucceeded
from provider_orchestrator.app import service
from testkit.databases import ServiceDatabase
from testkit.service import under_test

CARD = "pm_card_visa"
SCRIPT = Path(__file__).with_name("collector_process.py")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    played = Sandbox()
    yield played
    played.close()


@pytest.fixture
async def collecting(place: ServiceDatabase) -> AsyncIterator[Collecting]:
    async with under_test(service, place) as unit:
        yield Collecting(unit, [])


def dies_at(point: str, place: ServiceDatabase, sandbox: Sandbox) -> None:
    """A process that collects until it comes by."""
    died = subprocess.run(
        [sys.executable, str(SCRIPT), place.url("worker"), place.schema, sandbox.url],
        env={**os.environ, "INVOICEOS_FAILPOINT": point},
        check=False,
        timeout=120,
    )
    assert died.returncode == -9


@pytest.mark.parametrize(
    "point",
    ["payment.routed", "payment.claimed", "payment.sent", "payment.answered", "payment.recorded"],
)
async def test_whoever_dies_the_card_is_charged_once(
    collecting: Collecting, place: ServiceDatabase, sandbox: Sandbox, point: str
) -> None:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    intent = await collecting.create(invoice, instrument=CARD)
    dies_at(point, place, sandbox)
    await collecting.pass_time(timedelta(minutes=4))
    await work(collecting.unit.worker, sandbox.url)
    assert await collecting.state_of(intent.id) == "succeeded"
    (attempt,) = await collecting.unit.worker.fetch("select id from payment_attempt")
    truth = sandbox.truth(attempt["id"])
    assert (truth["captured_minor"], len(truth["payments"])) == (1250, 1)
    assert len(await collecting.unit.facts(PaymentSucceeded)) == 1
