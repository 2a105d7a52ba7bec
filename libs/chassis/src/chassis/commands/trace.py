"""`invoiceos trace`: the whole life of one invoice across services, as a tree with times."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from chassis.cli import kafka_access, services
from chassis.commands import places, showing
from chassis.commands.log_lines import lines_about
from chassis.commands.trace_view import draw
from invoiceos_contracts import decode, encode
from messaging import KafkaAccess, operations
from messaging.operations import Entry, Subject

app = typer.Typer(name="trace", add_completion=False)
INVOICES = "invoice"
"""Schema of the service that knows invoices by their number."""


@app.command("trace")
def trace_invoice(
    invoice: Annotated[str, typer.Argument(help="Public id inv_..., or an invoice number")],
    *,
    tenant: Annotated[str, typer.Option(help="Whose number it is, ten_...")] = "",
    logs: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of JSON log files")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Show every event, effect and delivery of one invoice, and what still waits, as a tree.

    Reads as the auditor; with --logs the lines of structured logs that name the invoice too.
    """
    invoice_id = _identified(invoice, tenant)
    found = asyncio.run(_traced(kafka_access(), invoice_id))
    if not found:
        typer.echo(f"nothing is known of {encode('inv', invoice_id)}", err=True)
        raise typer.Exit(1)
    if logs is not None:
        found += lines_about(logs, _names(invoice_id, found))
    roots = operations.tree(found)
    if as_json:
        showing.as_json({"invoice_id": encode("inv", invoice_id), "tree": roots})
    else:
        draw(encode("inv", invoice_id), roots)


def _identified(text: str, tenant: str) -> UUID:
    try:
        tenant_id = decode("ten", tenant) if tenant else None
        if text.startswith("inv_"):
            return decode("inv", text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = asyncio.run(_numbered(text, tenant_id))
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise typer.BadParameter(f"there is no invoice with the number {text}")
    owners = ", ".join(encode("ten", owner) for _, owner in found)
    raise typer.BadParameter(f"several have the number {text}; say --tenant, one of {owners}")


async def _numbered(number: str, tenant_id: UUID | None) -> list[tuple[UUID, UUID]]:
    async with places.opened(places.reading_url(INVOICES, alone=False), INVOICES) as tx:
        return await operations.invoices_numbered(tx, number, tenant_id)


async def _traced(kafka: KafkaAccess, invoice_id: UUID) -> list[Entry]:
    events = await operations.events_of(
        kafka, operations.owned_topics(), encode("inv", invoice_id), operations.born(invoice_id)
    )
    tenant_id = events[0]["tenant_id"] if events else await _tenant_of(invoice_id)
    if tenant_id is None:
        return []
    installed = services()
    subject = Subject.of(invoice_id, tenant_id, events)
    parts = await places.from_each(
        [service.schema for service in installed.values()],
        lambda tx, schema: operations.part(
            tx, schema.replace("_", "-"), installed[schema.replace("_", "-")].traced, subject
        ),
    )
    return [*events, *(entry for _, entries in parts for entry in entries)]


async def _tenant_of(invoice_id: UUID) -> UUID | None:
    """For an invoice of which no topic says anything: not sent yet, or long ago."""
    async with places.opened(places.reading_url(INVOICES, alone=False), INVOICES) as tx:
        found: UUID | None = await tx.fetchval(
            "select tenant_id from invoice where id = $1", invoice_id
        )
    return found


def _names(invoice_id: UUID, found: Sequence[dict[str, Any]]) -> dict[str, UUID | None]:
    """How log lines may name the invoice, or one of its events."""
    names: dict[str, UUID | None] = {encode("inv", invoice_id): None, str(invoice_id): None}
    names.update({str(entry["id"]): entry["id"] for entry in found if entry["id"] is not None})
    for entry in found:
        if entry["subject"] is not None:
            prefix = entry["subject"].rpartition("_")[0]
            names.setdefault(entry["subject"], None)
            names.setdefault(str(decode(prefix, entry["subject"])), None)
    return names
