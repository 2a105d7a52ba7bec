"""`python -m invoiceos_local`: the platform on this machine, in the background."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from invoiceos_local import log_view, supervisor
from invoiceos_local.daemon import Daemon
from invoiceos_local.errors import NotReady, Unavailable
from invoiceos_local.evm import deposit as pay_deposit
from invoiceos_local.evm_facts import UNITS_PER_CENT
from invoiceos_local.state import State, data_folder, read_supervisor

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console(highlight=False)


@app.command()
def up() -> None:
    """Starts everything and returns when it is ready; prints the addresses again when it runs."""
    try:
        state = supervisor.up(data_folder(), lambda line: console.print(f"  {line}", markup=False))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (NotReady, Unavailable) as error:
        console.print("[bold red]Not started:[/]", escape(str(error)), soft_wrap=True)
        raise typer.Exit(1) from None
    _print_addresses(state)


@app.command()
def down() -> None:
    """Ends everything, and whatever a crash has left."""
    ended = supervisor.down(data_folder())
    console.print("Stopped." if ended else "Nothing was running.")


@app.command()
def status() -> None:
    """Shows what runs; the exit code is 0 when all of it is ready."""
    state = State.load(data_folder())
    alive = read_supervisor(data_folder()) is not None
    if not alive:
        console.print("Nothing is running; `make up` starts it.")
        raise typer.Exit(1)
    table = Table("service", "ready", "pid", "restarts", "address")
    for name, service in state.services.items():
        ready = "[green]yes[/]" if service["ready"] else "[red]no[/]"
        table.add_row(name, ready, *(str(service[key]) for key in ("pid", "restarts", "url")))
    console.print(table)
    all_ready = all(service["ready"] for service in state.services.values())
    raise typer.Exit(0 if state.status == "ready" and all_ready else 1)


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Processes; all when none")] = None,
    *,
    follow: Annotated[bool, typer.Option(help="Keep printing what is added")] = True,
    lines: Annotated[int, typer.Option(help="Lines of each log to begin with")] = 20,
) -> None:
    """Prints the logs of all processes, merged."""
    folder = data_folder() / "logs"
    try:
        log_view.show(folder, names or [], follow=follow, last_lines=lines, console=console)
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command()
def deposit(address: str, cents: int) -> None:
    """Sends play USDC on the local EVM chain, as a payer of an invoice on evm-create2 would."""
    rpc_url = State.load(data_folder()).infrastructure.get("evm_rpc_url", "")
    if not rpc_url or read_supervisor(data_folder()) is None:
        console.print("There is no EVM chain here; `make up` starts one.")
        raise typer.Exit(1)
    console.print(pay_deposit(rpc_url, address, cents * UNITS_PER_CENT))


@app.command()
def run() -> None:
    """Holds everything in the foreground until it is interrupted."""
    raise typer.Exit(Daemon(data_folder()).run(os.getpid()))


@app.command()
def demo() -> None:
    """Lets one invoice live its life and shows each event as it happens."""
    from invoiceos_local.demo.feed import NotSeen
    from invoiceos_local.demo.story import tell

    state = State.load(data_folder())
    if state.status != "ready":
        console.print("[bold red]Nothing is running:[/] make up starts it, make demo does both.")
        raise typer.Exit(1)
    try:
        wrong = asyncio.run(tell(state, console))
    except NotSeen as error:
        console.print(f"[bold red]Stopped:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    if wrong:
        console.print(f"\n[bold red]{len(wrong)} of the findings are wrong.[/]")
        raise typer.Exit(1)
    console.print("\n[bold green]All of it is right.[/] make logs shows more, make down ends it.")


@app.command()
def migrate() -> None:
    """Migrates the databases of the running stack."""
    _operate("migrate", "--all")


@app.command()
def audit() -> None:
    """Looks at every invariant of the running stack."""
    _operate("audit")


def _operate(*arguments: str) -> None:
    """Runs an operator's command on the running stack, and ends as it ends."""
    state = State.load(data_folder())
    if state.status != "ready":
        console.print("[bold red]Nothing is running:[/] make up starts everything.")
        raise typer.Exit(1)
    command = str(Path(sys.executable).with_name("invoiceos"))
    environment = {**os.environ, **state.administration}
    done = subprocess.run([command, *arguments], env=environment, check=False)
    raise typer.Exit(done.returncode)


def _print_addresses(state: State) -> None:
    console.print()
    for name, shown in (("gateway",) * 2, ("mail",) * 2, ("provider-sandbox", "sandbox")):
        if name in state.urls:
            console.print(f"  {shown:<9} [link]{state.urls[name]}[/link]")
    if "api_key" in state.tenant:
        console.print(f"  API key   {state.tenant['api_key']}  (tenant demo)", markup=False)
    console.print(f"  details   {data_folder() / 'state.json'}", markup=False)
    console.print("\n  make logs shows what happens, make down ends it.")


if __name__ == "__main__":
    app()
