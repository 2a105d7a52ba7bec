"""Handles each fact once: `pip install aiokafka==0.14.0`, then `python consumer_aiokafka.py`."""

import asyncio
import os
import sqlite3

from aiokafka import AIOKafkaConsumer, ConsumerRecord
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
INTERESTING = {"invoiceos.invoice.issued.v1", "invoiceos.invoice.paid.v1"}
TABLES = """
    create table if not exists handled (id text primary key);
    create table if not exists invoices (id text primary key, last_fact text, body text);
"""


def handle(database: sqlite3.Connection, record: ConsumerRecord) -> None:
    """The effect of one fact; the id that tells a repeat is kept in the same transaction."""
    said = {name: value.decode() for name, value in record.headers if name.startswith("ce_")}
    if said["ce_type"] not in INTERESTING:  # types you do not know will come
        return
    with database:
        known = database.execute("select 1 from handled where id = ?", [said["ce_id"]]).fetchone()
        if known:
            return
        database.execute("insert into handled values (?)", [said["ce_id"]])
        database.execute(
            "insert or replace into invoices values (?, ?, ?)",
            [said["ce_subject"], said["ce_type"], record.value.decode()],
        )
    print(said["ce_id"], said["ce_type"], said["ce_subject"], flush=True)


async def main() -> None:
    database = sqlite3.connect("partner.db")
    database.executescript(TABLES)
    async with AIOKafkaConsumer(
        os.environ["KAFKA_TOPIC_EVENTS"],
        group_id=os.environ["KAFKA_GROUP_PREFIX"] + "aiokafka",
        auto_offset_reset="earliest",  # a new group begins with all that is kept
        enable_auto_commit=False,
        **ACCESS,
    ) as consumer:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    handle(database, record)
            await consumer.commit()  # after the effects: a crash before repeats, and loses nothing


if __name__ == "__main__":
    asyncio.run(main())
