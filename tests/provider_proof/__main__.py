"""`python -m tests.provider_proof`: no fault of a provider charges twice or loses money."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import structlog
import typer
from tests.provider_proof import run
from tests.provider_proof.core import PLANTS
from tests.provider_proof.intake import intake
from tests.simulator.database import server

from testkit.databases import create_database

BENCH_EACH = 2000


def _told(found: list[tuple[str, float]]) -> None:
    bare = found[0][1]
    for name, rate in found:
        print(f"{name:28} {rate:8.0f}/s  {rate / bare:6.2f} of the bare handler")


def main(
    *,
    payments: Annotated[int, typer.Option(min=1)] = 20_000,
    seed: int = 1,
    each: Annotated[int, typer.Option(min=1, help="Payments of one world")] = 1000,
    minutes: Annotated[float, typer.Option(help="Begin no world after this; 0 is no limit")] = 0,
    bench: Annotated[bool, typer.Option(help="Webhooks kept a second, by scheme")] = False,
    plant: Annotated[str, typer.Option(help=f"A fault of ours: {', '.join(PLANTS)}")] = "",
) -> None:
    """Exit code 1 when something was captured twice, lost, made up, or left without an end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    since = run.timed()

    def tell(line: str) -> None:
        print(f"{since():6.0f} s  {line}", flush=True)

    with TemporaryDirectory(prefix="invoiceos-proof-") as folder, server(Path(folder)) as url:
        place = create_database(url, "provider_orchestrator")
        if bench:
            _told(asyncio.run(intake(place, BENCH_EACH)))
            return
        chosen = run.Chosen(payments, seed, each, plant)
        found = asyncio.run(run.proof(place, chosen, tell, lambda: 0 < minutes * 60 < since()))
    print(run.report(found, since()))
    for line in found.breaches[:50]:
        print(f"BREACH {line}")
    if found.breaches:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
