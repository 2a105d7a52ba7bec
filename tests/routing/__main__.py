"""`python -m tests.routing`: routing policies side by side; `--bench`: how long a choice takes."""

from __future__ import annotations

from typing import Annotated

import typer
from tests.routing import bench, table
from tests.routing.world import PAYMENTS, SEEDS


def main(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds")] = len(SEEDS),
    payments: Annotated[int, typer.Option(min=100, help="In each world")] = PAYMENTS,
    benchmark: Annotated[bool, typer.Option("--bench", help="Measure instead")] = False,
) -> None:
    """Print a table in Markdown. Exit code 1 when a payment was charged twice."""
    if benchmark:
        print(bench.markdown([bench.measure(*size) for size in ((3, 0), (5, 10), (10, 100))]))
        return
    found = table.scores(range(seeds), payments)
    print(table.markdown(found))
    if any(score.charged_twice for score in found.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
