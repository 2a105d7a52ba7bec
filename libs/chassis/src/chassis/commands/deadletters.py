"""`invoiceos deadletters`: what could not be handled, and what becomes of it."""

import asyncio
import getpass
import json
from typing import Annotated, Any
from uuid import UUID

import typer

from chassis.commands import places, showing
from invoiceos_contracts import decode
from messaging import operations
from messaging.operations import OPEN, STATES, Act, LetterFilter

app = typer.Typer(
    name="deadletters", no_args_is_help=True, help="Records that could not be handled."
)
Service = Annotated[str, typer.Argument(help="A service; all of them where none is named")]
One = Annotated[str, typer.Argument(help="The service that put it aside")]
Type = Annotated[str, typer.Option("--type", help="Type of the event")]
Tenant = Annotated[str, typer.Option(help="Public id of a tenant, ten_...")]
Cause = Annotated[str, typer.Option(help="envelope, contract, handler or behind")]
Consumer = Annotated[str, typer.Option(help="Consumer group")]
State = Annotated[str, typer.Option(help=f"open, all, or one of {', '.join(STATES)}")]
Age = Annotated[str, typer.Option(help="At least so old: 90s, 15m, 2h, 3d")]
Key = Annotated[str, typer.Option("--key", help="Key of the records: the aggregate's public id")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the journal of operations")]
Actor = Annotated[str, typer.Option("--by", help="Who; the account where it is not said")]
Json = Annotated[bool, typer.Option("--json", help="For programs")]


def _filter(
    state: str, kind: str, tenant: str, cause: str, consumer: str, age: str, key: str
) -> LetterFilter:
    if state not in ("open", "all", *STATES):
        raise typer.BadParameter(f"a state is open, all, {', '.join(STATES)}")
    try:
        tenant_id = decode("ten", tenant) if tenant else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return LetterFilter(
        states={"open": OPEN, "all": STATES}.get(state, (state,)),
        type=kind or None,
        tenant_id=tenant_id,
        cause=cause or None,
        consumer=consumer or None,
        age=showing.age_of(age) if age else None,
        key=key or None,
    )


@app.command("list")
def list_letters(
    service: Service = "",
    *,
    state: State = "open",
    kind: Type = "",
    tenant: Tenant = "",
    cause: Cause = "",
    consumer: Consumer = "",
    age: Age = "",
    key: Key = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Of each service")] = 50,
    as_json: Json = False,
) -> None:
    """Show dead letters, oldest first."""
    wanted = _filter(state, kind, tenant, cause, consumer, age, key)
    found = asyncio.run(
        places.from_each(
            places.chosen(service),
            lambda tx, _: operations.find(tx, wanted, limit=limit + 1),
        )
    )
    letters = [{"service": name, **row} for name, rows in found for row in rows[:limit]]
    if as_json:
        showing.as_json(letters)
        return
    for letter in letters:
        typer.echo(_line(letter))
    more = [name for name, rows in found if len(rows) > limit]
    typer.echo(f"{len(letters)} {state}" + (f"; more in {', '.join(more)}" if more else ""))


def _line(letter: dict[str, Any]) -> str:
    place = f"{letter['topic']}/{letter['partition']}/{letter['record_offset']}"
    return (
        f"{letter['id']}  {letter['service']:21}  {letter['state']:9}"
        f"  {showing.since(letter['created_at']):>9}  {place}  {letter['record_key']}"
        f"  {letter['type'] or 'unreadable'}  {letter['reason']}: {letter['error'][:120]}"
    )


@app.command("show")
def show_letter(service: One, letter: UUID, *, as_json: Json = False) -> None:
    """Show one letter: envelope, payload, error, and what waits behind it by key."""
    schema = places.named(service)
    ((_, found),) = asyncio.run(
        places.from_each([schema], lambda tx, _: operations.show(tx, letter))
    )
    if found is None:
        typer.echo(f"{service} has no dead letter {letter}", err=True)
        raise typer.Exit(1)
    if as_json:
        showing.as_json(found)
        return
    for name in ("id", "state", "consumer", "record_key", "type", "event_id", "attempts"):
        typer.echo(f"{name:12} {found[name]}")
    typer.echo(f"{'tenant':12} {showing.tenant(found['tenant_id'])}")
    place = f"{found['topic']} partition {found['partition']} offset {found['record_offset']}"
    typer.echo(f"{'place':12} {place}")
    typer.echo(f"{'put aside':12} {found['created_at']} ({showing.since(found['created_at'])} ago)")
    typer.echo(f"{'cause':12} {found['reason']}: {found['error']}")
    typer.echo("envelope")
    for name, value in found["headers"]:
        typer.echo(f"  {name:20} {value}")
    typer.echo("payload")
    typer.echo(_indented(found["payload"]))
    typer.echo(f"behind it by key: {found['behind_count']}")
    for waiting in found["behind"]:
        typer.echo("  " + _line({"service": service, **waiting}))


def _indented(payload: str | None) -> str:
    if payload is None:
        return "  none"
    try:
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = payload
    return "\n".join("  " + line for line in text.splitlines())


@app.command("replay")
def replay_letters(
    service: One,
    letter: Annotated[UUID | None, typer.Argument(help="One letter; else give filters")] = None,
    *,
    reason: Reason,
    kind: Type = "",
    tenant: Tenant = "",
    cause: Cause = "",
    consumer: Consumer = "",
    age: Age = "",
    key: Key = "",
    everything: Annotated[bool, typer.Option("--all", help="All open ones, no filter")] = False,
    actor: Actor = "",
) -> None:
    """Let the letters of a key be handled again, in their order, under their own event ids."""
    wanted = _filter("open", kind, tenant, cause, consumer, age, key)
    if letter is not None:
        wanted = LetterFilter(ids=[letter])
    elif not (str(wanted) or everything):
        raise typer.BadParameter("name a letter, give a filter, or say --all")
    released = asyncio.run(_replay(places.named(service), wanted, _act(actor, reason)))
    typer.echo(f"{released} released; the consumer takes them within a second or two")
    if not released:
        raise typer.Exit(1)


@app.command("discard")
def discard_letter(
    service: One,
    letter: UUID,
    *,
    reason: Reason,
    whole_key: Annotated[
        bool, typer.Option("--key", help="With all that waits behind it by key")
    ] = False,
    actor: Actor = "",
) -> None:
    """Set a letter aside for good; what waited behind it is handled in its order."""
    gone, released = asyncio.run(
        _discard(places.named(service), letter, _act(actor, reason), whole_key=whole_key)
    )
    if not gone:
        typer.echo(f"{service} has no open dead letter {letter}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{gone} discarded, {released} released behind it")


def _act(actor: str, reason: str) -> Act:
    if not reason.strip():
        raise typer.BadParameter("a reason has words")
    return Act(actor or getpass.getuser(), reason)


async def _replay(schema: str, wanted: LetterFilter, act: Act) -> int:
    async with places.opened(places.writing_url(schema), schema) as tx:
        return await operations.replay(tx, wanted, act)


async def _discard(schema: str, letter: UUID, act: Act, *, whole_key: bool) -> tuple[int, int]:
    async with places.opened(places.writing_url(schema), schema) as tx:
        return await operations.discard(tx, letter, act, whole_key=whole_key)
