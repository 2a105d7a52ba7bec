"""A partner with nothing but what `invoiceos partner create` printed: asks, is told, is refused."""

import asyncio
import json
import re
import uuid

import pytest
from aiokafka import AIOKafkaConsumer
from tests.kafka_security.attempts import a_group, producing

from invoiceos_contracts import encode
from invoiceos_contracts.invoice_v1 import InvoiceCreated, InvoiceIssued
from invoiceos_contracts.partner_v1 import (
    InvoiceRequest,
    InvoiceRequestAccepted,
    InvoiceRequestRejected,
)
from messaging import KafkaAccess

BODY = {
    "asset": "USD",
    "due_at": "2100-01-31T12:00:00Z",
    "lines": [{"description": "Work", "quantity": "2", "unit_price_minor": 5000}],
    "customer": {"name": "Ada", "email": "ada@example.test"},
}
SECONDS = 60


class Partner:
    """Its program: knows the lines it was given."""

    def __init__(self, said: dict[str, str]) -> None:
        self.said = said
        self.access = KafkaAccess(
            said["KAFKA_BOOTSTRAP"],
            said["KAFKA_SECURITY_PROTOCOL"],
            said["KAFKA_USERNAME"],
            said["KAFKA_PASSWORD"],
        )

    async def ask(self, body: object, **headers: str) -> str:
        """Write a request; its id."""
        given = {
            "ce_specversion": "1.0",
            "ce_id": uuid.uuid4().hex,
            "ce_type": InvoiceRequest.TYPE,
            "ce_source": "/acme/orders",
            "content-type": "application/json",
            **headers,
        }
        pairs = [(name, value.encode()) for name, value in given.items()]
        async with producing(self.access) as producer:
            topic = self.said["KAFKA_TOPIC_REQUESTS"]
            await producer.send_and_wait(topic, json.dumps(body).encode(), headers=pairs)
        return given["ce_id"]

    async def told(
        self, topic: str, field: str, value: str, *, kind: str | None = None
    ) -> tuple[str, dict]:
        """Type and body of the first record (of a type) whose body has this value in this field."""
        consumer = AIOKafkaConsumer(
            self.said[topic],
            **self.access.options(),
            group_id=a_group(self.said["KAFKA_GROUP_PREFIX"]),
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            async with asyncio.timeout(SECONDS):
                async for record in consumer:
                    body = json.loads(record.value)
                    said = dict(record.headers)["ce_type"].decode()
                    if body.get(field) == value and kind in (None, said):
                        return said, body
        finally:
            await consumer.stop()
        raise AssertionError("a consumer ended by itself")

    async def outcome(self, request_id: str) -> tuple[str, dict]:
        return await self.told("KAFKA_TOPIC_OUTCOMES", "request_id", request_id)


@pytest.fixture(scope="module")
def partner(run, tenant) -> Partner:
    made = run("partner", "create", "shop", "--tenant", tenant["tenant_id"])
    return Partner(dict(re.findall(r"^(KAFKA_\w+)=(.*)$", made.stdout, re.MULTILINE)))


async def test_a_partner_asks_by_topic_and_gets_the_invoice_and_its_facts(
    partner: Partner, platform
):
    kind, accepted = await partner.outcome(await partner.ask(BODY))
    assert kind == InvoiceRequestAccepted.TYPE
    invoice = await platform.client.get(f"/api/v1/invoices/{accepted['invoice_id']}")
    assert invoice["total"]["amount_minor"] == 10_000
    told = ("KAFKA_TOPIC_EVENTS", "invoice_id", accepted["invoice_id"])
    _, created = await partner.told(*told, kind=InvoiceCreated.TYPE)
    assert created["total"]["amount_minor"] == 10_000


async def test_what_a_partner_may_not_say_comes_back_as_a_rejection(partner: Partner):
    forged = await partner.ask({**BODY, "tenant_id": encode("ten", uuid.uuid4())})
    internal = await partner.ask({}, ce_type=InvoiceIssued.TYPE)
    broken = await partner.ask({"asset": "USD"})
    codes = {}
    for request_id in (forged, internal, broken):
        kind, rejected = await partner.outcome(request_id)
        assert kind == InvoiceRequestRejected.TYPE
        codes[request_id] = rejected["code"]
    assert codes == {
        forged: "forged_tenant",
        internal: "type_not_allowed",
        broken: "invalid_request",
    }


def test_the_gateway_and_the_broker_agree_on_a_partner(partner: Partner, run, tenant):
    lines = [line.split() for line in run("partner", "show", "shop").stdout.splitlines()]
    assert ["tenant", tenant["tenant_id"]] in lines
    assert ["state", "active"] in lines
    assert ["principal", partner.said["KAFKA_USERNAME"]] in lines
    again = run("partner", "create", "shop", "--tenant", tenant["tenant_id"])
    assert "KAFKA_PASSWORD" not in again.stdout
    assert "rotate shop" in again.stderr
    other = json.loads(run("tenant", "create", "Rivals Inc", "--json").stdout)["tenant_id"]
    assert (
        "partner_name_taken" in run("partner", "create", "shop", "--tenant", other, code=1).stderr
    )
