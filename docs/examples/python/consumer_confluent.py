"""Handles each fact once: `pip install confluent-kafka==2.16.1`, `python consumer_confluent.py`."""

import os
import sqlite3

from confluent_kafka import Consumer, KafkaException, Message

SETTINGS = {
    "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP"],
    "security.protocol": os.environ.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"),
    "sasl.mechanism": os.environ.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
    "sasl.username": os.environ.get("KAFKA_USERNAME", ""),
    "sasl.password": os.environ.get("KAFKA_PASSWORD", ""),
    "group.id": os.environ["KAFKA_GROUP_PREFIX"] + "confluent",
    "auto.offset.reset": "earliest",  # a new group begins with all that is kept
    "enable.auto.commit": False,
    "session.timeout.ms": 10_000,  # when you die, another takes over after this
}
INTERESTING = {"invoiceos.invoice.issued.v1", "invoiceos.invoice.paid.v1"}
TABLES = """
    create table if not exists handled (id text primary key);
    create table if not exists invoices (id text primary key, last_fact text, body text);
"""


def handle(database: sqlite3.Connection, record: Message) -> None:
    """The effect of one fact; the id that tells a repeat is kept in the same transaction."""
    headers = record.headers() or []
    said = {name: value.decode() for name, value in headers if isinstance(value, bytes)}
    if said["ce_type"] not in INTERESTING:  # types you do not know will come
        return
    with database:
        known = database.execute("select 1 from handled where id = ?", [said["ce_id"]]).fetchone()
        if known:
            return
        database.execute("insert into handled values (?)", [said["ce_id"]])
        database.execute(
            "insert or replace into invoices values (?, ?, ?)",
            [said["ce_subject"], said["ce_type"], (record.value() or b"").decode()],
        )
    print(said["ce_id"], said["ce_type"], said["ce_subject"], flush=True)


def main() -> None:
    database = sqlite3.connect("partner.db")
    database.executescript(TABLES)
    consumer = Consumer(SETTINGS)
    consumer.subscribe([os.environ["KAFKA_TOPIC_EVENTS"]])
    while True:
        records = consumer.consume(500, timeout=1)
        for record in records:
            if record.error():
                raise KafkaException(record.error())
            handle(database, record)
        if records:  # after the effects: a crash before repeats, and loses nothing
            consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main()
