"""The clients of the guide run as shown, as a partner with its own password, and are believed
by what they print."""

import asyncio
import json
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from tests.partner_clients.conftest import EXAMPLES, ROOT, Partner

from invoiceos_contracts.partner_v1 import InvoiceRequest
from invoiceos_local.kafka_jars import KAFKA_VERSION

CONSUMERS = [
    "python/consumer_aiokafka.py",
    "python/consumer_confluent.py",
    "java/src/main/java/PartnerConsumer.java",
    "node/consumer.mjs",
]
REQUESTERS = ["python/submit_invoice.py", "node/submit_invoice.mjs"]


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"contracts/samples/{name}.v1.json").read_text())
    return found


def a_record(name: str, **headers: str) -> dict[str, Any]:
    """The sample of an event, as another fact."""
    record = sample(name)
    return {**record, "headers": {**record["headers"], "ce_id": str(uuid.uuid4()), **headers}}


def line_of(record: dict[str, Any]) -> str:
    return " ".join(record["headers"][name] for name in ("ce_id", "ce_type", "ce_subject"))


def test_consumers_handle_each_fact_once_even_when_killed(
    new_partner: Callable[[], Partner], running: Callable[..., Any]
) -> None:
    """All at once: each waits until the broker believes that the killed one is gone."""
    with ThreadPoolExecutor(len(CONSUMERS)) as pool:
        partners = [new_partner() for _ in CONSUMERS]
        for done in [
            pool.submit(handles_once, *pair, running)
            for pair in zip(CONSUMERS, partners, strict=True)
        ]:
            done.result()


def handles_once(example: str, partner: Partner, running: Callable[..., Any]) -> None:
    issued, paid, last = (a_record(f"Invoice{n}") for n in ("Issued", "Paid", "Paid"))
    unknown = a_record("InvoicePaid", ce_type="invoiceos.invoice.framed.v1")
    partner.tells("events", issued, unknown, issued, paid)
    with running(example, partner.environment) as client:
        assert [client.line(), client.line()] == [line_of(issued), line_of(paid)], example
    partner.tells("events", paid, issued, last)
    with running(example, partner.environment) as client:
        assert client.line() == line_of(last), example
        assert client.rest() == [], example


@pytest.mark.parametrize("example", REQUESTERS)
async def test_a_request_is_one_the_door_understands_and_its_outcome_is_told(
    example: str, new_partner: Callable[[], Partner], running: Callable[..., Any]
) -> None:
    partner = await asyncio.to_thread(new_partner)
    for name, status, printed in (
        ("InvoiceRequestAccepted", 0, r"accepted inv_\w{26}"),
        ("InvoiceRequestRefused", 1, r"turned away: customer_not_found .*/customer_id.*"),
    ):
        with running(example, partner.environment) as client:
            asked = await next_request(partner)
            outcome = sample(name)
            outcome["value"]["request_id"] = str(uuid.uuid4())
            await asyncio.to_thread(partner.tells, "outcomes", outcome)
            outcome["value"]["request_id"] = asked
            await asyncio.to_thread(partner.tells, "outcomes", outcome)
            assert re.fullmatch(printed, await asyncio.to_thread(client.line))
            assert await asyncio.to_thread(client.ends) == status
            assert client.rest() == []


async def next_request(partner: Partner) -> str:
    """The id of the request that comes next; it is whole, and of the type the door takes."""
    topic, group = f"partner.{partner.name}.requests.v1", "gateway.partners"
    async with AIOKafkaConsumer(
        topic, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
        **partner.kafka.access("gateway").options(),
    ) as consumer:  # fmt: skip
        record = await asyncio.wait_for(consumer.getone(), 60)
        await consumer.commit()
    said = {name: value.decode() for name, value in record.headers}
    assert said["ce_type"] == InvoiceRequest.TYPE
    assert said["ce_specversion"] == "1.0"
    asked = InvoiceRequest.model_validate_json(record.value)
    assert asked.customer is not None
    return str(said["ce_id"])


def test_a_wrong_password_lets_nobody_in(
    new_partner: Callable[[], Partner], running: Callable[..., Any]
) -> None:
    partner = new_partner()
    partner.tells("events", a_record("InvoicePaid"))
    wrong = {**partner.environment, "KAFKA_PASSWORD": "guessed"}
    with ExitStack() as stack:
        clients = [stack.enter_context(running(example, wrong)) for example in CONSUMERS]
        for client in clients:
            client.complains("uthenticat")
            assert client.rest() == []


def test_the_pom_names_the_version_the_platform_runs() -> None:
    pom = (EXAMPLES / "java" / "pom.xml").read_text()
    assert f"<version>{KAFKA_VERSION}</version>" in pom
