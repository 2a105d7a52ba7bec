"""A partner works by topics alone: it asks, it is told, and what kills a service changes nothing."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from invoiceos_contracts.partner_v1 import InvoiceRequest
from invoiceos_contracts.registry import OUTCOMES, PARTNER_EVENTS, REQUESTS, topics_of
from invoiceos_local.demo.client import Client

BODY: dict[str, Any] = {
    "asset": "USD",
    "due_at": (datetime.now(UTC) + timedelta(days=14)).isoformat(),
    "lines": [{"description": "Work", "quantity": "1", "unit_price_minor": 10000}],
    "customer": {"name": "Ada", "email": "ada@example.test"},
}


@dataclass
class PartnerSystem:
    """The partner's own program: a producer, and what it has read."""

    name: str
    producer: AIOKafkaProducer
    consumer: AIOKafkaConsumer

    async def asks(self, body: Any, request_id: str, **headers: str) -> None:
        given = {
            "ce_specversion": "1.0",
            "ce_id": request_id,
            "ce_type": InvoiceRequest.TYPE,
            "ce_source": "/partner",
            **headers,
        }
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.producer.send_and_wait(
            REQUESTS.topic(self.name),
            value,
            headers=[(name, text.encode()) for name, text in given.items()],
        )

    async def reads(self, enough: Any) -> list[tuple[str, str, dict[str, Any]]]:
        """Everything on its topics (purpose, type, body), once it holds what is waited for."""
        places = self.consumer.assignment()
        await self.consumer.seek_to_beginning(*places)
        found: list[tuple[str, str, dict[str, Any]]] = []
        end = asyncio.get_running_loop().time() + 60
        while not enough(found):
            assert asyncio.get_running_loop().time() < end, f"only this came: {found}"
            for records in (await self.consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    kind = dict(record.headers)["ce_type"].decode()
                    purpose = record.topic.split(".")[2]
                    found.append((purpose, kind, json.loads(record.value)))
        return found


def outcomes_of(found: list[Any], request_id: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (kind.split(".")[-2], body)
        for purpose, kind, body in found
        if purpose == "outcomes" and body["request_id"] == request_id
    ]


@pytest.fixture(scope="session")
async def operator(stack, http) -> Client:
    token = stack.administration_env()["INVOICEOS_OPERATOR_TOKEN"]
    return Client(http, stack.urls["gateway"], token)


@pytest.fixture(scope="session")
async def partner(stack, tenant, operator) -> AsyncIterator[PartnerSystem]:
    """Registered while everything runs: the door hears a topic that was made a moment ago."""
    name, bootstrap = f"p{uuid.uuid4().hex[:10]}", stack.infrastructure.kafka_bootstrap
    await operator.post("/api/v1/partners", {"name": name, "tenant_id": tenant["tenant_id"]})
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(s.name, s.partitions, 1) for s in topics_of(name)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(
        OUTCOMES.topic(name), PARTNER_EVENTS.topic(name), bootstrap_servers=bootstrap
    )
    await producer.start()
    await consumer.start()
    yield PartnerSystem(name, producer, consumer)
    await producer.stop()
    await consumer.stop()


async def test_a_partner_asks_by_topic_and_gets_the_outcome_and_the_facts_of_the_invoice(partner):
    request_id = uuid.uuid4().hex
    await partner.asks(BODY, request_id)

    def enough(found):
        issued = [1 for _, kind, _ in found if kind == "invoiceos.invoice.issued.v1"]
        return issued and outcomes_of(found, request_id)

    found = await partner.reads(enough)
    ((kind, outcome),) = outcomes_of(found, request_id)
    assert kind == "accepted"
    facts = [k for _, k, body in found if body.get("invoice_id") == outcome["invoice_id"]]
    assert "invoiceos.invoice.created.v1" in facts
    assert "invoiceos.invoice.issued.v1" in facts


async def test_a_malformed_record_comes_back_readable_and_holds_up_nothing(partner):
    bad, good = uuid.uuid4().hex, uuid.uuid4().hex
    await partner.asks(b'{"asset": "USD", "asset": "EUR"}', bad)
    await partner.asks({**BODY, "lines": [{"quantity": 1}]}, f"{bad}-2")
    await partner.asks(BODY, good)
    found = await partner.reads(lambda found: outcomes_of(found, good))
    ((kind, rejected),) = outcomes_of(found, bad)
    assert (kind, rejected["code"]) == ("rejected", "malformed_body")
    ((_, unfit),) = outcomes_of(found, f"{bad}-2")
    pointers = {problem["pointer"] for problem in unfit["problems"]}
    assert {"/lines/0/quantity", "/lines/0/description"} <= pointers


async def test_no_fact_of_another_tenant_reaches_a_partner(partner, platform, rival, other_tenant):
    made = await rival.post("/api/v1/invoices", {**BODY, "issue": True})
    request_id = uuid.uuid4().hex
    await partner.asks(BODY, request_id)
    await platform.quiet()
    found = await partner.reads(lambda found: outcomes_of(found, request_id))
    assert made["id"] not in json.dumps(found)
    assert other_tenant["tenant_id"] not in json.dumps(found)
    assert len(found) > 1


STEPS = [
    ("gateway", "consumer.handled"),
    ("gateway", "consumer.committed"),
    ("gateway", "relay.acked"),
    ("invoice", "consumer.handled"),
    ("invoice", "transaction.committed"),
    ("invoice", "relay.sent"),
]


@pytest.mark.parametrize(("service", "failpoint"), STEPS)
async def test_a_service_killed_at_a_step_of_a_request_makes_one_invoice_and_one_outcome(
    partner, platform, tmp_path, service, failpoint
):
    mark = tmp_path / "died"
    request_id = uuid.uuid4().hex
    platform.overrides.setdefault(service, {}).update(
        INVOICEOS_FAILPOINT=failpoint, INVOICEOS_FAILPOINT_MARK=str(mark)
    )
    try:
        await asyncio.to_thread(_restart, platform, service, mark)
        for _ in range(2):
            await partner.asks({**BODY, "draft": True, "reference": request_id}, request_id)
        found = await partner.reads(lambda found: outcomes_of(found, request_id))
    finally:
        platform.overrides[service].pop("INVOICEOS_FAILPOINT")
        platform.overrides[service].pop("INVOICEOS_FAILPOINT_MARK")
    assert mark.read_text() == failpoint, "the service was never killed: the test showed nothing"
    await platform.quiet(60)
    found = await partner.reads(lambda found: outcomes_of(found, request_id))
    ids = {body["invoice_id"] for _, body in outcomes_of(found, request_id)}
    listed = await platform.client.get(f"/api/v1/invoices?reference={request_id}")
    assert {item["id"] for item in listed["items"]} == ids
    assert len(ids) == 1


def _restart(platform, service, mark):
    """Restart armed; a service may meet its step before it is ready, and is then started again."""
    try:
        platform.stack.restart(service)
    except Exception:
        if not mark.exists():
            raise
