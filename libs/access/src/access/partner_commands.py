"""`invoiceos partner`: a system that integrates through topics, from first secret to last."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from access import partners
from access.administration import Administration
from access.commands import administration
from access.gateway import Gateway, GatewayRefused
from access.partners import UnknownTopic, Wish, group_prefix
from chassis.cli import kafka_access, setting
from invoiceos_contracts.registry import principal_of, topics_of
from messaging import KafkaAccess
from messaging.access import MECHANISM

partner = typer.Typer(
    no_args_is_help=True,
    help="Systems of customers that integrate through topics: principal, topics, rights, limits.",
)
SHARED = (
    "ATTENTION: {topics}: shared topics carry the facts of ALL tenants. Grant them to the "
    "operators' own integrations only, never to a customer."
)
_KEPT_OPEN = "Connections that are open stay open until they are closed; new ones need the new."


def _valid(name: str) -> str:
    if not re.fullmatch(partners.NAME, name):
        raise typer.BadParameter("2 to 40 of a-z, 0-9 and -")
    return name


Name = Annotated[str, typer.Argument(callback=_valid, help="2 to 40 of a-z, 0-9 and -")]
Rate = Annotated[int, typer.Option(min=1024, help="Bytes a second, for each broker")]


@partner.command()
def create(
    name: Name,
    tenant: Annotated[str, typer.Option(help="Whose invoices it makes and hears of: ten_...")],
    *,
    read: Annotated[
        list[str] | None,
        typer.Option(
            help="A topic of the platform to read besides its own. It carries the facts of ALL "
            "tenants: for operators' own integrations. May be given more than once"
        ),
    ] = None,
    producer_rate: Rate = partners.PRODUCER_LIMIT,
    consumer_rate: Rate = partners.CONSUMER_LIMIT,
    replication: Annotated[int, typer.Option(min=1)] = 1,
    bootstrap: Annotated[
        str, typer.Option(help="The brokers' address as the partner reaches it; yours if not given")
    ] = "",
) -> None:
    """Register a partner and make its topics, rights, limits and secret; prints what it needs.

    Safe to repeat: what is missing is made, rights and limits become those that are asked for. The
    secret is shown once; `rotate` makes another.
    """
    wish = Wish(name, tuple(read or ()), producer_rate, consumer_rate, replication)
    with _broker() as broker:
        _gateway().register(name, tenant)
        secret = partners.create(broker, wish)
    if wish.reads:
        typer.echo(SHARED.format(topics=", ".join(wish.reads)), err=True)
    for line in environment(_told(bootstrap), wish, secret):
        typer.echo(line)
    if secret is None:
        typer.echo(f"{name} has a secret already: `invoiceos partner rotate {name}`", err=True)
    else:
        typer.echo("Hand it over by a safe way: the password cannot be shown again.", err=True)


def environment(kafka: KafkaAccess, wish: Wish, secret: str | None) -> list[str]:
    """What a partner's program needs, as lines of an environment file."""
    requests, outcomes, events = (spec.name for spec in topics_of(wish.name))
    return [
        f"KAFKA_BOOTSTRAP={kafka.bootstrap}",
        f"KAFKA_SECURITY_PROTOCOL={kafka.protocol}",
        f"KAFKA_SASL_MECHANISM={MECHANISM}",
        f"KAFKA_USERNAME={wish.principal}",
        *([f"KAFKA_PASSWORD={secret}"] if secret else []),
        f"KAFKA_GROUP_PREFIX={group_prefix(wish.name)}",
        f"KAFKA_TOPIC_REQUESTS={requests}",
        f"KAFKA_TOPIC_OUTCOMES={outcomes}",
        f"KAFKA_TOPIC_EVENTS={events}",
        *([f"KAFKA_TOPICS_SHARED={','.join(wish.reads)}"] if wish.reads else []),
    ]


@partner.command()
def show(name: Name) -> None:
    """Show what the gateway and the broker know of a partner."""
    with _broker() as broker:
        found = partners.look(broker, name)
        known = _gateway().partner(name)
    if known is None and not found.exists:
        _end(f"there is no partner {name}", 1)
    typer.echo(f"principal  {found.principal}")
    typer.echo(f"tenant     {known['tenant_id'] if known else '-'}")
    typer.echo(f"state      {known['state'] if known else 'not registered at the gateway'}")
    typer.echo(f"secret     {'set' if found.has_secret else 'none: it cannot log in'}")
    for key, limit in sorted(found.limits.items()):
        typer.echo(f"limit      {key} {limit:.0f}")
    for topic in found.topics:
        typer.echo(f"topic      {topic}")
    for line in found.grants:
        typer.echo(f"grant      {line.removeprefix(found.principal).strip()}")


@partner.command()
def lag(name: Name) -> None:
    """Show how far each consumer group of a partner is behind, by partition."""
    with _broker() as broker:
        groups = partners.lag(broker, name)
    for group, places in sorted(groups.items()):
        behind = sum(end - read for read, end in places.values())
        typer.echo(f"{group}  {behind} records behind")
        for place, (read, end) in sorted(places.items()):
            typer.echo(f"  {place.topic}/{place.partition}  read {read} of {end}, lag {end - read}")
    if not groups:
        typer.echo(f"no consumer group of {name} has read anything")


@partner.command()
def rotate(name: Name) -> None:
    """Give a partner a new secret, shown once; with the old one nobody logs in any more."""
    with _broker() as broker:
        if not partners.look(broker, name).has_secret:
            _end(f"{name} has no secret to replace: create it first", 1)
        secret = partners.rotate(broker, name)
    typer.echo(f"KAFKA_USERNAME={principal_of(name)}")
    typer.echo(f"KAFKA_PASSWORD={secret}")
    typer.echo(f"The old secret is refused from now on. {_KEPT_OPEN}", err=True)


@partner.command()
def revoke(name: Name) -> None:
    """Send a partner away for good: rights, secret and limits go, the topics are kept.

    Its open connections can read and write nothing from then on. Safe to repeat.
    """
    with _broker() as broker:
        partners.revoke(broker, name)
    _gateway().revoke(name)
    typer.echo(f"{name} is revoked; its topics are kept until their time is over")


def _told(bootstrap: str) -> KafkaAccess:
    """The brokers as a partner is told of them."""
    own = kafka_access()
    return replace(own, bootstrap=bootstrap) if bootstrap else own


def _gateway() -> Gateway:
    return Gateway(setting("INVOICEOS_GATEWAY_URL"), setting("INVOICEOS_OPERATOR_TOKEN"))


@contextmanager
def _broker() -> Iterator[Administration]:
    """The broker, where it asks; what the gateway refuses ends the command with its reason."""
    if os.environ.get("INVOICEOS_KAFKA_SECURITY_PROTOCOL", "PLAINTEXT") == "PLAINTEXT":
        _end("this broker asks nobody who he is: set INVOICEOS_KAFKA_SECURITY_PROTOCOL", 2)
    try:
        with administration() as broker:
            yield broker
    except GatewayRefused as error:
        _end(str(error), 1)
    except UnknownTopic as error:
        _end(f"no contract declares the topic {error}", 2)


def _end(text: str, code: int) -> None:
    typer.echo(text, err=True)
    raise typer.Exit(code)
