"""`invoiceos selector`: the log of mode decisions proved from its rows."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import psycopg
import typer
from psycopg.rows import dict_row

from audit.invariant import Row
from audit.invariants.selector import broken_chains
from chassis.cli import setting

WRONG = 1
READ_AT_ONCE = 5000
selector = typer.Typer(name="selector", no_args_is_help=True, help="The mode selector.")


@selector.callback()
def _selector() -> None:
    pass


@selector.command("verify")
def verify_log(
    *, tenant: Annotated[UUID | None, typer.Option(help="Of this company alone")] = None
) -> None:
    """Compute every chain of decisions again and compare its head; names each entry that is wrong.

    Ends with 1 when any is. Reads in one snapshot and holds nobody up.
    """
    entries: Counter[str] = Counter()
    last: dict[str, tuple[int, str]] = {}
    with psycopg.connect(
        setting("INVOICEOS_AUDIT_DATABASE_URL"), row_factory=dict_row
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        broken = list(broken_chains(_noted(_entries(connection, tenant), entries, last)))
        broken += _other_heads(connection, tenant, last)
    for one in broken:
        typer.echo(f"BROKEN {one['tenant_id']} at entry {one['sequence']}: {one['expected']}")
    typer.echo(f"{len(last)} logs, {entries.total()} entries: {len(broken)} broken")
    if broken:
        raise typer.Exit(WRONG)


def _entries(connection: "psycopg.Connection[Row]", tenant: UUID | None) -> Iterator[Row]:
    with connection.cursor(name="selector_log") as cursor:
        cursor.itersize = READ_AT_ONCE
        cursor.execute(
            """
            select tenant_id, sequence, wallet_id, kind, body, hash, previous_hash
            from wallet_factory.selector_log
            where %(tenant)s::uuid is null or tenant_id = %(tenant)s
            order by tenant_id, sequence
            """,
            {"tenant": tenant},
        )
        yield from cursor


def _noted(
    rows: Iterator[Row], entries: Counter[str], last: dict[str, tuple[int, str]]
) -> Iterator[Row]:
    """The rows as they come; counted, with the last of each log kept."""
    for row in rows:
        name = str(row["tenant_id"])
        entries[name] += 1
        last[name] = (row["sequence"], row["hash"])
        yield row


def _other_heads(
    connection: "psycopg.Connection[Row]",
    tenant: UUID | None,
    last: dict[str, tuple[int, str]],
) -> list[Row]:
    """Heads that are not the last entry of their log: entries were cut off at its end."""
    heads = connection.execute(
        """
        select tenant_id, sequence, hash from wallet_factory.selector_log_head
        where sequence > 0 and (%(tenant)s::uuid is null or tenant_id = %(tenant)s)
        order by tenant_id
        """,
        {"tenant": tenant},
    ).fetchall()
    return [
        {**head, "expected": f"the log ends at {last.get(str(head['tenant_id']), (0, ''))[0]}"}
        for head in heads
        if last.get(str(head["tenant_id"])) != (head["sequence"], head["hash"])
    ]
