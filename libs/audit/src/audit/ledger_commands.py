"""`invoiceos ledger`: every ledger proved from its rows, and written and made again as a log."""

import asyncio
import base64
import hashlib
import json
import sys
import time
from datetime import UTC
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.ledger_log import OWN_ADDRESSES, BadLog, export_lines, import_lines
from audit.ledger_verifier import verify
from audit.reserve_commands import facts_of
from chassis.cli import kafka_access, setting
from invoiceos_contracts.ledger_v1 import LedgerHeadPublished

WRONG = 1
ledger = typer.Typer(name="ledger", no_args_is_help=True, help="Ledgers.")


@ledger.callback()
def _ledger() -> None:
    pass


@ledger.command("verify")
def verify_ledgers(
    *,
    public_key: Annotated[
        str, typer.Option(help="Ed25519 key of the published heads, base64; else they are believed")
    ] = "",
    topics: Annotated[bool, typer.Option(help="Compare with the published heads")] = True,
) -> None:
    """Prove hashes, chains, sums and balances of all ledgers; names the first broken row of each.

    Ends with 1 when any is broken. Reads in one snapshot and holds nobody up.
    """
    heads: dict[str, dict[int, str]] = {}
    forged = asyncio.run(_published(heads, public_key)) if topics else 0
    began = time.perf_counter()
    with psycopg.connect(setting("INVOICEOS_AUDIT_DATABASE_URL"), autocommit=True) as connection:
        found = verify(connection, heads)
    spent = time.perf_counter() - began
    for broken in found.broken:
        typer.echo(str(broken))
    if forged:
        typer.echo(f"{forged} published heads have a wrong signature")
    typer.echo(
        f"{found.ledgers} ledgers, {found.transactions} transactions, {found.postings} postings,"
        f" {found.heads} published heads in {spent:.1f} s"
        f" ({found.postings / max(spent, 0.001):.0f} postings a second):"
        f" {len(found.broken)} broken"
    )
    if found.broken or forged:
        raise typer.Exit(WRONG)


@ledger.command("export")
def export_ledger(tenant: Annotated[UUID, typer.Option(help="Whose ledger")]) -> None:
    """Write a tenant's ledger as a log, one transaction a line, each with its hash."""
    with psycopg.connect(setting("INVOICEOS_AUDIT_DATABASE_URL"), autocommit=True) as connection:
        for line in export_lines(connection, tenant):
            sys.stdout.write(line)


@ledger.command("import")
def import_ledger(
    log: Annotated[typer.FileText, typer.Argument(help="What `export` wrote; - is standard input")],
) -> None:
    """Make a ledger again from its log, in a place where the tenant has none; proves every hash."""
    url = setting("INVOICEOS_DATABASE_WORKER_URL")
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            tenant, sequence, head = import_lines(connection, log, OWN_ADDRESSES)
    except BadLog as wrong:
        typer.echo(str(wrong), err=True)
        raise typer.Exit(WRONG) from wrong
    typer.echo(f"ledger {tenant} is at transaction {sequence}: {head}")


async def _published(heads: dict[str, dict[int, str]], public_key: str) -> int:
    """Fill in what was published; how many of them are signed wrongly."""
    forged = 0
    async for fact in facts_of(kafka_access(), LedgerHeadPublished.TOPIC):
        assert isinstance(fact, LedgerHeadPublished)
        if public_key and not is_signed(fact, public_key):
            forged += 1
            continue
        heads.setdefault(str(fact.ledger_id), {})[fact.sequence] = fact.hash
    return forged


def is_signed(fact: LedgerHeadPublished, public_key: str) -> bool:
    """Whether a published head is signed by this key."""
    plain = {
        "hash": fact.hash,
        "ledger_id": str(fact.ledger_id),
        "published_at": fact.published_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "sequence": fact.sequence,
    }
    body = json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    hashed = hashlib.sha256(len(body).to_bytes(8, "big") + body).digest()
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(fact.signature, validate=True), hashed)
    except (ValueError, InvalidSignature):
        return False
    return True
