"""`invoiceos acls`: the rights of services, as declared and as the broker has them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from access.administration import Administration, AdministrationError, entry_of, line_of
from access.grants import AUDITOR, Grant, declared
from chassis.cli import kafka_access, services

acls = typer.Typer(
    no_args_is_help=True,
    help="Rights of services on the broker, from the contracts and from what services declare.",
)


@dataclass(frozen=True)
class Difference:
    """What the broker lacks and what it has too much, as to the principals of the platform.

    Partners, and principals nobody here knows, are left alone.
    """

    missing: Sequence[Grant]
    surplus: Sequence[Any]
    users: Sequence[str]
    """Principals that have no password."""

    @property
    def nothing(self) -> bool:
        """The broker is as it should be."""
        return not (self.missing or self.surplus or self.users)

    def lines(self) -> list[str]:
        """One line a change: + is added, - is removed."""
        return [
            *(f"+ {user:<22} password" for user in self.users),
            *(f"+ {line_of(entry_of(grant))}" for grant in self.missing),
            *(f"- {line_of(entry)}" for entry in self.surplus),
        ]


def difference(broker: Administration, wanted: frozenset[Grant], seed: str) -> Difference:
    """Compare; users are looked at only where there is a seed to make passwords of."""
    principals = _principals(wanted)
    present = {entry for name in principals for entry in broker.rights(name)}
    wanted_entries = {entry_of(grant) for grant in wanted}
    return Difference(
        missing=sorted(grant for grant in wanted if entry_of(grant) not in present),
        surplus=sorted(present - wanted_entries, key=line_of),
        users=sorted(set(principals) - broker.users()) if seed else (),
    )


def bring_about(
    broker: Administration, wanted: frozenset[Grant], seed: str, *, new_passwords: bool = False
) -> Difference:
    """Make the broker as it should be; what was different. Safe to repeat."""
    from chassis.databases import password_of

    found = difference(broker, wanted, seed)
    if found.missing or found.surplus:
        for principal in _principals(wanted):
            broker.replace(principal, [g for g in wanted if g.principal == principal])
    for user in _principals(wanted) if seed and new_passwords else found.users:
        broker.set_password(user, password_of(seed, user))
    return found


def _principals(wanted: frozenset[Grant]) -> list[str]:
    return sorted({grant.principal for grant in wanted} | {AUDITOR, *services()})


@acls.command()
def plan() -> None:
    """Show what `apply` would change; ends with 1 where that is anything."""
    with administration() as broker:
        found = difference(broker, declared(services().values()), _seed())
    _tell(found)
    if not found.nothing:
        raise typer.Exit(1)


@acls.command("apply")
def apply_rights(
    *,
    new_passwords: Annotated[
        bool, typer.Option("--new-passwords", help="Set every password again, of a new seed")
    ] = False,
) -> None:
    """Give what is declared, take what is not; make users where there is a seed. Safe to repeat."""
    with administration() as broker:
        wanted = declared(services().values())
        _tell(bring_about(broker, wanted, _seed(), new_passwords=new_passwords))
    if new_passwords and _seed():
        typer.echo("every password was set")


def _seed() -> str:
    return os.environ.get("INVOICEOS_KAFKA_PASSWORD_SEED", "")


@contextmanager
def administration() -> Iterator[Administration]:
    """The broker, as its operator; what it refuses ends the command with its reason."""
    try:
        with Administration(kafka_access()) as broker:
            yield broker
    except AdministrationError as error:
        typer.echo(f"The broker refuses: {error}", err=True)
        raise typer.Exit(2) from error


def _tell(found: Difference) -> None:
    for line in found.lines():
        typer.echo(line)
    typer.echo("nothing to change" if found.nothing else f"{len(found.lines())} changes")
