"""`invoiceos outbox status` and `invoiceos timers status`: what each service still has to do."""

import asyncio
from typing import Annotated, Any

import typer

from chassis.commands import places, showing
from messaging import Tx, operations

outbox = typer.Typer(name="outbox", no_args_is_help=True, help="Facts on their way out.")
timers = typer.Typer(name="timers", no_args_is_help=True, help="What is to be done at a time.")
Service = Annotated[str, typer.Argument(help="A service; all of them where none is named")]
Json = Annotated[bool, typer.Option("--json", help="For programs")]
Found = list[tuple[str, Any]]


@outbox.callback()
def _outbox() -> None:
    pass


@timers.callback()
def _timers() -> None:
    pass


@outbox.command("status")
def outbox_status(
    service: Service = "",
    *,
    seconds: Annotated[
        float, typer.Option(min=0, max=60, help="Look twice, so far apart, for the rate now")
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Show what is unsent, since when, what the broker refused, who owns the shards, the rate."""
    before, found = asyncio.run(_twice(places.chosen(service), seconds))
    statuses = [
        {"service": name, **status, **_rates(then, status)}
        for (name, status), (_, then) in zip(found, before, strict=True)
    ]
    if as_json:
        showing.as_json(statuses)
        return
    typer.echo(f"{'service':22} {'unsent':>7} {'oldest':>9} {'parked':>6} {'shards':>6}  sent")
    for status in statuses:
        for line in _outbox_lines(status):
            typer.echo(line)


async def _look(names: list[str]) -> Found:
    return await places.from_each(names, operations.outbox_status)


async def _twice(names: list[str], seconds: float) -> tuple[Found, Found]:
    before = await _look(names)
    if not seconds:
        return before, before
    await asyncio.sleep(seconds)
    return before, await _look(names)


def _rates(before: dict[str, Any], now: dict[str, Any]) -> dict[str, float | None]:
    """Facts a second between two looks; None where there was one, or the counters began anew."""
    passed = (now["at"] - before["at"]).total_seconds()
    names = {"staged_per_s": "staged_total", "sent_per_s": "sent_total"}
    return {
        rate: round((now[total] - before[total]) / passed, 1)
        if passed and now[total] >= before[total]
        else None
        for rate, total in names.items()
    }


def _outbox_lines(status: dict[str, Any]) -> list[str]:
    oldest = status["oldest_age_s"]
    shards = status["shards"]
    owners = ", ".join(f"{o['session']} (pid {o['pid']})" for o in shards["owners"]) or "nobody"
    rate = "" if status["sent_per_s"] is None else f"{status['sent_per_s']:g}/s now, "
    counted = f"{status['sent_total']} since {status['counted_since']:%Y-%m-%d %H:%M}"
    first = (
        f"{status['service']:22} {status['waiting']:>7}"
        f" {'-' if oldest is None else showing.span(oldest):>9} {status['parked']:>6}"
        f" {shards['owned']:>3}/{shards['all']}  {rate}{counted}  by {owners}"
    )
    lines = [first]
    lines += [
        f"    parked: {row['type']} of {row['key']} ({row['bytes']} bytes): {row['cause']};"
        f" {row['behind']} wait behind it"
        for row in status["parked_rows"]
    ]
    return lines


@timers.command("status")
def timers_status(service: Service = "", *, as_json: Json = False) -> None:
    """Show for each kind of timer what waits, is due and fails, and when the next fires."""

    async def look(tx: Tx, schema: str) -> list[dict[str, Any]]:
        del schema
        return await operations.timers_status(tx)

    found = asyncio.run(places.from_each(places.chosen(service), look))
    kinds = [{"service": name, **kind} for name, rows in found for kind in rows]
    if as_json:
        showing.as_json(kinds)
        return
    typer.echo(
        f"{'service':22} {'kind':26} {'waiting':>7} {'due':>5} {'overdue':>7} {'failing':>7}  next"
    )
    for kind in kinds:
        late = showing.since(kind["next_at"])
        next_at = f"{late} ago" if not late.startswith("-") else f"{kind['next_at']:%F %T}"
        typer.echo(
            f"{kind['service']:22} {kind['kind']:26} {kind['waiting']:>7} {kind['due']:>5}"
            f" {kind['overdue']:>7} {kind['failing']:>7}  {next_at}"
        )
        for timer in kind["worst"]:
            typer.echo(
                f"    failing: {timer['ref']} failed {timer['attempts']} times, again at"
                f" {timer['due_at']:%F %T}: {timer['error'] or 'no cause kept'}"
            )
    if not kinds:
        typer.echo("no timers")
