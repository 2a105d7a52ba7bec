"""`invoiceos`: what operators run. One image, this one entry point."""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from chassis.runtime import Service
    from messaging import KafkaAccess

COMMANDS = "invoiceos.commands"
"""Entry points by which other packages add a command; loaded when it is asked for."""


EARLIER_NAMES = {"dead-letters": "deadletters"}
"""Commands that were called otherwise: they go on working, and are not shown."""


class Commands(TyperGroup):
    """The commands of this file, and those that are installed beside it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order in which they are shown."""
        added = sorted(point.name for point in entry_points(group=COMMANDS))
        return [*super().list_commands(ctx), *added]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None where there is none."""
        cmd_name = EARLIER_NAMES.get(cmd_name, cmd_name)
        for point in entry_points(group=COMMANDS, name=cmd_name):
            return typer.main.get_command(point.load())
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, help="Invoice OS for operators."
)
database = typer.Typer(no_args_is_help=True, help="Roles and schemas.")
tenant = typer.Typer(no_args_is_help=True, help="Companies on the platform.")
certificate = typer.Typer(no_args_is_help=True, help="Destruction certificates.")
app.add_typer(database, name="database")
app.add_typer(tenant, name="tenant")
app.add_typer(certificate, name="certificate")


def services() -> "dict[str, Service]":
    """Every service that is installed, by name."""
    return {point.name: point.load() for point in entry_points(group="invoiceos.services")}


def service_named(name: str) -> "Service":
    """An installed service; ends the command with the names there are."""
    points = {point.name: point for point in entry_points(group="invoiceos.services")}
    if name not in points:
        raise typer.BadParameter(f"there is {', '.join(sorted(points))}")
    found: Service = points[name].load()
    return found


def schemas() -> list[str]:
    """Schema of every service that is installed; nothing is imported for it."""
    return sorted(
        point.name.replace("-", "_") for point in entry_points(group="invoiceos.services")
    )


def setting(name: str) -> str:
    """A setting a command cannot do without."""
    value = os.environ.get(name)
    if not value:
        typer.echo(f"Set {name} first; .env.example says what it is.", err=True)
        raise typer.Exit(2)
    return value


def kafka_access() -> "KafkaAccess":
    """The brokers, and the principal of whoever runs the command."""
    from chassis.settings import KafkaSettings, read

    setting("INVOICEOS_KAFKA_BOOTSTRAP")
    access: KafkaAccess = read(KafkaSettings).kafka
    return access


@app.command()
def serve(name: str) -> None:
    """Run a service: its routes, consumers and relay, as INVOICEOS_ROLES says."""
    from chassis.application import serve as run

    run(service_named(name))


@app.command()
def migrate(
    name: Annotated[str, typer.Argument()] = "",
    everything: Annotated[bool, typer.Option("--all")] = False,
) -> None:
    """Apply the migrations of one service (or of all, deriving the owners' addresses)."""
    from chassis import databases

    if everything:
        admin = setting("INVOICEOS_DATABASE_ADMIN_URL")
        seed = setting("INVOICEOS_DATABASE_PASSWORD_SEED")
        targets = {
            schema: databases.role_url(admin, seed, f"{schema}_owner") for schema in schemas()
        }
    else:
        targets = {name.replace("-", "_"): setting("INVOICEOS_DATABASE_OWNER_URL")}
    with ThreadPoolExecutor(max_workers=4) as pool:
        runs = {
            schema: pool.submit(databases.migrate, url, schema) for schema, url in targets.items()
        }
    for schema, run in sorted(runs.items()):
        for migration in run.result():
            typer.echo(f"{schema}: {migration}")


@database.command("prepare")
def prepare_database() -> None:
    """Create each service's schema and roles."""
    from chassis import databases

    databases.prepare(
        setting("INVOICEOS_DATABASE_ADMIN_URL"),
        schemas(),
        setting("INVOICEOS_DATABASE_PASSWORD_SEED"),
    )
    typer.echo(f"ready: {', '.join(schemas())}")


@app.command("topics")
def create_topics(replication: int = 1) -> None:
    """Create the topics that are missing."""
    from chassis import topics

    created = asyncio.run(topics.create(kafka_access(), replication=replication))
    typer.echo(f"created: {', '.join(created) or 'none, all were there'}")


@app.command()
def probe(path: str = "/readyz") -> None:
    """Ask the service in this container whether it is well; for health checks."""
    port = os.environ.get("INVOICEOS_HTTP_PORT", "8080")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=3) as answer:
            typer.echo(answer.read().decode())
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@tenant.command("create")
def create_tenant(
    name: str,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Create a company and its first API key; the key is shown once."""
    made = _post("/api/v1/tenants", {"name": name})
    if as_json:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"tenant   {made['tenant_id']}\nAPI key  {made['api_key']}")
    typer.echo("Keep the key: it cannot be shown again.")


def _post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        setting("INVOICEOS_GATEWAY_URL").rstrip("/") + path,
        json.dumps(body).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {setting('INVOICEOS_OPERATOR_TOKEN')}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            made: dict[str, Any] = json.load(answer)
            return made
    except urllib.error.HTTPError as error:
        typer.echo(error.read().decode(), err=True)
        raise typer.Exit(1) from error


@certificate.command("verify")
def verify_certificate(
    file: Annotated[str, typer.Argument(help="A certificate as JSON; - for standard input")],
    public_key: Annotated[
        str,
        typer.Option(
            help="The platform's public key, base64; without it only the chain and "
            "the certificate's own key are checked"
        ),
    ] = "",
) -> None:
    """Check a destruction certificate's hash, signature and, if given, the key."""
    from chassis.certificates import findings
    from invoiceos_contracts.ephemeral_v1 import Certificate

    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    found = findings(Certificate.model_validate_json(text), public_key or None)
    for name, right in found:
        typer.echo(f"{'ok  ' if right else 'BAD '} {name}")
    if not all(right for _, right in found):
        raise typer.Exit(1)


@app.command("contracts")
def write_contracts(folder: Path = Path("contracts")) -> None:
    """Write JSON Schemas, AsyncAPI, OpenAPI and golden messages (`make contracts`)."""
    from chassis.documents import write

    for path in write(folder, services()):
        typer.echo(str(path))


def main() -> None:
    """Entry point."""
    app()
