"""`invoiceos restore`: database and topics agree again after one of them went back in time."""

import asyncio
import getpass
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from aiokafka import TopicPartition

from chassis.cli import kafka_access, services, setting
from chassis.commands import places, showing
from chassis.databases import role_url
from chassis.runtime import Service
from messaging import KafkaAccess, Subscriptions, operations
from messaging.operations import Act, restore, restored_topics
from messaging.operations.restore import Difference, Sent

app = typer.Typer(name="restore", no_args_is_help=True, help="After a restore from a backup.")
LINES_SHOWN = 20
LEAVING_S = 60
"""How long a stopped consumer may stay a member of its group: a session, and room for more."""
Json = Annotated[bool, typer.Option("--json", help="For programs, with every fact in full")]


@dataclass(slots=True)
class Plan:
    """What has to be done, by service."""

    topics: restored_topics.Topics
    differences: dict[str, Difference] = field(default_factory=dict)
    unhandled: dict[str, list[Sent]] = field(default_factory=dict)
    """Facts to handle again, by consumer."""
    offsets: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)
    """Where groups must go on from, by group."""
    again: dict[str, restored_topics.Offsets] = field(default_factory=dict)
    """The same of groups that read partners' topics: all of it once more."""

    @property
    def forgotten(self) -> list[Sent]:
        """Facts their owners know nothing of."""
        return [record for found in self.differences.values() for record in found.forgotten]


@app.command("plan")
def show_plan(*, as_json: Json = False) -> None:
    """Show what database and topics disagree on, and what `apply` would do; changes nothing."""
    _show(asyncio.run(_plan(kafka_access())), as_json=as_json)


@app.command("apply")
def apply_plan(
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the journal of operations")],
    actor: Annotated[str, typer.Option("--by", help="Who; the account where not said")] = "",
    as_json: Json = False,
) -> None:
    """Make them agree, and list what only a person can mend. Every service must be stopped."""
    if not reason.strip():
        raise typer.BadParameter("a reason has words")
    plan = asyncio.run(_apply(kafka_access(), Act(actor or getpass.getuser(), reason)))
    _show(plan, as_json=as_json)


async def _plan(kafka: KafkaAccess) -> Plan:
    installed = list(services().values())
    plan = Plan(await restored_topics.read_all(kafka, operations.owned_topics()))
    for service in installed:
        async with places.opened(_worker_url(service), service.schema) as tx:
            plan.differences[service.name] = await restore.compare(
                tx,
                operations.owned_topics(service.name),
                plan.topics.records,
                plan.topics.truncated,
            )
    forgotten = {record.event_id for record in plan.forgotten}
    for service in installed:
        group, types = _reads(service)
        if not types:
            continue
        heard = [r for r in plan.topics.records if r.type in types and r.event_id not in forgotten]
        async with places.opened(_worker_url(service), service.schema) as tx:
            plan.unhandled[group] = await restore.unhandled(tx, group, heard)
        now = await restored_topics.committed(kafka, group)
        moved = restored_topics.corrected(now, plan.topics.ends, iter(plan.unhandled[group]))
        if moved:
            plan.offsets[group] = moved
    for group in (g.group for s in installed for g in s.groups() if g.pattern is not None):
        plan.again[group] = restored_topics.from_the_beginning(
            await restored_topics.committed(kafka, group)
        )
    return plan


async def _apply(kafka: KafkaAccess, act: Act) -> Plan:
    await _nobody_works()
    await _nobody_reads(kafka)
    plan = await _plan(kafka)
    ends = {(place.topic, place.partition): end for place, end in plan.topics.ends.items()}
    for service in services().values():
        group, types = _reads(service)
        difference = plan.differences[service.name]
        async with places.opened(_worker_url(service), service.schema) as tx:
            await restore.agree(tx, difference, act)
            await restore.forget(tx, group, [r for r in plan.forgotten if r.type in types])
            await restore.move_letters_away(tx, ends)
            if service.restored is not None and difference.forgotten:
                await service.restored(tx, difference.forgotten)
    for group, offsets in (plan.offsets | plan.again).items():
        if offsets:
            await restored_topics.commit(kafka, group, offsets)
    return plan


async def _nobody_works() -> None:
    """Ends the command while a service's relay holds shards: it would write into the repair."""
    for service in services().values():
        async with places.opened(_worker_url(service), service.schema) as tx:
            status = await operations.outbox_status(tx, service.schema)
        if status["shards"]["owned"]:
            typer.echo(f"{service.name} is running; stop every service first", err=True)
            raise typer.Exit(1)


async def _nobody_reads(kafka: KafkaAccess) -> None:
    """Waits until groups are empty: before, nobody can move them. Ends the command if one stays."""
    groups = [reads.group for service in services().values() for reads in service.groups()]
    deadline = time.monotonic() + LEAVING_S
    while groups := await restored_topics.occupied(kafka, groups):
        if time.monotonic() > deadline:
            names = ", ".join(groups)
            typer.echo(f"somebody still reads as {names}; stop every service first", err=True)
            raise typer.Exit(1)
        await asyncio.sleep(1)


def _reads(service: Service) -> tuple[str, frozenset[str]]:
    """A service's consumer group, and the types it subscribed to."""
    group = service.group or service.name
    return group, frozenset(Subscriptions(group, service.subscriptions).types)


def _worker_url(service: Service) -> str:
    admin = setting("INVOICEOS_DATABASE_ADMIN_URL")
    seed = setting("INVOICEOS_DATABASE_PASSWORD_SEED")
    return role_url(admin, seed, f"{service.schema}_worker")


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        showing.as_json(_plain(plan))
        return
    typer.echo(
        f"{len(plan.topics.records)} facts on the topics, {plan.topics.unreadable} unreadable"
    )
    for line in _lines(plan):
        typer.echo(line)


def _lines(plan: Plan) -> Iterator[str]:
    for service, found in plan.differences.items():
        if found.already_sent:
            yield f"{service}: {len(found.already_sent)} in the outbox are on the topic already"
        if found.unjudged:
            yield f"{service}: {found.unjudged} histories whose beginning the topic no longer has"
    for group, records in plan.unhandled.items():
        moved = plan.offsets.get(group, {})
        if records or moved:
            yield f"{group}: {len(records)} facts to handle again, {len(moved)} offsets to move"
    for group, places_of in plan.again.items():
        if places_of:
            yield f"{group}: partners' requests of {len(places_of)} partitions are read once more"
    yield from _listed(
        "FORGOTTEN: on the topic, unknown to the database; nobody acts on them, a person looks",
        [f"{r.at:%F %T}  {r.type}  {r.key} v{r.version}  {r.event_id}" for r in plan.forgotten],
    )
    yield from _listed(
        "LOST: stated, and gone from the topic; who had not read them never will",
        [f"{r.topic}  {r.key} v{r.version}" for d in plan.differences.values() for r in d.lost],
    )
    if not plan.forgotten and not any(d.lost for d in plan.differences.values()):
        yield "nothing is left for a person"


def _listed(heading: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{heading} ({len(lines)})"
        yield from (f"    {line}" for line in lines[:LINES_SHOWN])
        if len(lines) > LINES_SHOWN:
            yield f"    ... and {len(lines) - LINES_SHOWN} more: --json has them all"


def _plain(plan: Plan) -> dict[str, Any]:
    return {
        "records": len(plan.topics.records),
        "unreadable": plan.topics.unreadable,
        "forgotten": [{name: getattr(r, name) for name in Sent.__slots__} for r in plan.forgotten],
        "lost": [
            {"topic": r.topic, "key": r.key, "version": r.version, "tenant_id": r.tenant_id}
            for d in plan.differences.values()
            for r in d.lost
        ],
        "already_sent": {name: len(d.already_sent) for name, d in plan.differences.items()},
        "to_handle": {group: len(records) for group, records in plan.unhandled.items()},
        "offsets": {
            group: {f"{p.topic}/{p.partition}": offset for p, offset in moved.items()}
            for group, moved in (plan.offsets | plan.again).items()
        },
    }
