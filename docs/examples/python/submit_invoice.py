"""Asks for an invoice and waits for its outcome: `python submit_invoice.py`, with aiokafka."""

import asyncio
import json
import os
import sys
import uuid
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.helpers import create_ssl_context

PROTOCOL = os.environ.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
ACCESS = {
    "bootstrap_servers": os.environ["KAFKA_BOOTSTRAP"],
    "security_protocol": PROTOCOL,
    "sasl_mechanism": os.environ.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
    "sasl_plain_username": os.environ.get("KAFKA_USERNAME"),
    "sasl_plain_password": os.environ.get("KAFKA_PASSWORD"),
    "ssl_context": create_ssl_context() if PROTOCOL.endswith("SSL") else None,
}
WAIT_S = 60


def an_invoice() -> dict[str, object]:
    return {
        "asset": "USD",
        "reference": "PO-2207",
        "due_at": (datetime.now(UTC) + timedelta(days=14)).isoformat(),
        "lines": [{"description": "Consulting", "quantity": "12", "unit_price_minor": 9500}],
        "customer": {"name": "Ada Example", "email": "ada@example.com"},
    }


async def outcome_of(request_id: str, consumer: AIOKafkaConsumer) -> tuple[str, dict[str, object]]:
    async for record in consumer:
        kind = next(value.decode() for name, value in record.headers if name == "ce_type")
        body = json.loads(record.value)
        if body.get("request_id") == request_id:
            return kind, body
    raise EOFError


async def main() -> int:
    # Keep the id with the order it is for: the same id again is the same request, never a second.
    request_id = str(uuid.uuid4())
    headers = {
        "ce_specversion": "1.0",
        "ce_id": request_id,
        "ce_type": "partner.invoice_requested.v1",
        "ce_source": "/acme/orders",
        "content-type": "application/json",
    }
    async with (
        AIOKafkaConsumer(os.environ["KAFKA_TOPIC_OUTCOMES"], **ACCESS) as consumer,
        AIOKafkaProducer(enable_idempotence=True, **ACCESS) as producer,
    ):
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)  # from here on, before anything is asked
        await producer.send_and_wait(
            os.environ["KAFKA_TOPIC_REQUESTS"],
            json.dumps(an_invoice()).encode(),
            key=request_id.encode(),
            headers=[(name, value.encode()) for name, value in headers.items()],
        )
        kind, body = await asyncio.wait_for(outcome_of(request_id, consumer), WAIT_S)
    if kind == "invoiceos.invoice_request.accepted.v1":
        print("accepted", body["invoice_id"], flush=True)
        return 0
    print("turned away:", body["code"], body["detail"], json.dumps(body["problems"]), flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
