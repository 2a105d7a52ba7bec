"""Prints every invoice fact: `python partner_consumer.py [bootstrap] [group]`."""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer

from invoiceos_contracts import EVENTS, from_headers

BOOTSTRAP = os.environ.get("INVOICEOS_KAFKA_BOOTSTRAP", "127.0.0.1:9092")


async def main(bootstrap: str = BOOTSTRAP, group: str = "partner.example") -> None:
    async with AIOKafkaConsumer(
        "invoiceos.invoice.v1", bootstrap_servers=bootstrap, group_id=group,
        auto_offset_reset="earliest", enable_auto_commit=False,
    ) as records:  # fmt: skip
        async for record in records:
            said = from_headers(record.headers)
            if event := EVENTS.get(said.type):
                fact = event.read(record.value)
                print(
                    said.id, said.aggregate_version, type(fact).__name__, fact.subject, flush=True
                )
            await records.commit()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
