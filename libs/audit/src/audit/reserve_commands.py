"""`invoiceos reserves verify`: the ledger's topic read from its start, each statement proved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer

from audit.reserve_verifier import ReserveVerifier
from chassis.cli import kafka_access
from invoiceos_contracts import EVENTS
from invoiceos_contracts.base import Event
from invoiceos_contracts.ledger_v1 import LedgerHeadPublished, ReserveStated, TransactionPosted
from messaging import KafkaAccess
from messaging.operations.topics import partitions_of

WRONG = 1
NOTHING = 2
SHOWN = 50
WANTED = {ReserveStated.TYPE, TransactionPosted.TYPE, LedgerHeadPublished.TYPE}
reserves = typer.Typer(name="reserves", no_args_is_help=True, help="Reserve statements.")


@reserves.callback()
def _reserves() -> None:
    pass


@reserves.command("verify")
def verify(
    public_key: Annotated[
        str, typer.Option(help="Ed25519 key of the statements, base64; without it no signature is")
    ] = "",
) -> None:
    """Replay the ledger's topic alone and prove every reserve statement on it.

    Ends with 0 when all hold, 1 when one does not or states a breach, 2 when there is none.
    """
    verifier = ReserveVerifier(public_key or None)
    asyncio.run(_read(kafka_access(), verifier))
    found = verifier.findings()
    for finding in found[:SHOWN]:
        typer.echo(f"statement {finding.sequence}: {finding.what}")
    typer.echo(
        f"{len(verifier.statements)} statements, {len(verifier.transactions)} transactions"
        f" ({verifier.recomputed} hashes made again): {len(found)} findings"
    )
    if not verifier.statements:
        raise typer.Exit(NOTHING)
    if found:
        raise typer.Exit(WRONG)


async def _read(kafka: KafkaAccess, verifier: ReserveVerifier) -> None:
    async for fact in facts_of(kafka, ReserveStated.TOPIC):
        verifier.take(fact)


async def facts_of(kafka: KafkaAccess, topic: str) -> AsyncIterator[Event]:
    """Statements, transactions and heads on a topic, from its beginning to where it ends."""
    places = await partitions_of(kafka, [topic])
    consumer = AIOKafkaConsumer(
        **kafka.options(), client_id="invoiceos.verifier", enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            polled = await consumer.getmany(timeout_ms=300, max_records=5_000)
            for record in (record for batch in polled.values() for record in batch):
                kind = dict(record.headers).get("ce_type", b"").decode()
                if kind in WANTED and record.value is not None:
                    yield EVENTS[kind].read(record.value)
    finally:
        await consumer.stop()
