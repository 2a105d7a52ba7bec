"""`invoiceos audit`: once, as a table or JSON, or again and again as a process."""

import asyncio
from typing import Annotated

import typer

from audit.monitor import Monitor
from audit.report import Report
from audit.running import GRACE_S, CannotAudit
from chassis import logs
from chassis.cli import kafka_access, setting

BREACHED = 1
NOT_AUDITED = 2
audit = typer.Typer(add_completion=False)


@audit.command("audit")
def run_audit(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
    grace: Annotated[float, typer.Option(help="Age from which services must agree, seconds")] = (
        GRACE_S
    ),
    settled: Annotated[bool, typer.Option("--settled", help="All is quiet: no grace")] = False,
    topics: Annotated[bool, typer.Option(help="Read the topics too")] = True,
    every: Annotated[float, typer.Option(help="Repeat after so many seconds, and serve")] = 0,
    host: Annotated[str, typer.Option(envvar="INVOICEOS_HTTP_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="INVOICEOS_HTTP_PORT")] = 9100,
) -> None:
    """Look at every invariant of the running system; changes nothing.

    Ends with 0 when all hold, 1 on a breach, 2 when it cannot look.
    """
    monitor = Monitor(
        setting("INVOICEOS_AUDIT_DATABASE_URL"),
        kafka_access() if topics else None,
        grace_s=0 if settled else grace,
    )
    if every:
        from audit.serving import serve

        logs.configure("auditor", "info")
        asyncio.run(serve(monitor, every_s=every, host=host, port=port))
        return
    try:
        report = asyncio.run(_once(monitor))
    except CannotAudit as error:
        typer.echo(f"The audit could not be made: {error}", err=True)
        raise typer.Exit(NOT_AUDITED) from error
    typer.echo(report.as_json() if as_json else report.as_table())
    if report.breached:
        raise typer.Exit(BREACHED)


async def _once(monitor: Monitor) -> Report:
    try:
        return await monitor.look()
    finally:
        await monitor.close()
