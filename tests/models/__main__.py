"""`python -m tests.models`: each model holds, and each of its known-bad variants is found out."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer
from rich.console import Console
from tests.models.verify import GOOD, MODELS, Model, Result, missing, verify

console = Console(highlight=False, soft_wrap=True)


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(MODELS)}; all when none")
    ] = None,
    *,
    kills: Annotated[
        int | None, typer.Option(min=0, help="Deaths in each story; more take much longer")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Searches at a time")] = 2,
) -> None:
    """Search models. Exit code 1 when one does not behave, 2 when a tool is missing."""
    absent = missing()
    if absent:
        print(absent, file=sys.stderr)
        raise typer.Exit(2)
    unknown = sorted(set(names or []) - MODELS.keys())
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}; there are {', '.join(MODELS)}")
    chosen = [model for name, model in MODELS.items() if not names or name in names]
    defined = [] if kills is None else [f"KILLS={kills}"]
    searches = [(model, variant) for model in chosen for variant in (GOOD, *model.known_bad)]
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda search: verify(*search, defined), searches))
    _show(results)
    if not all(result.is_expected for result in results):
        raise typer.Exit(1)


def _show(results: list[Result]) -> None:
    console.print("| model | variant | states | found | as expected | s |")
    console.print("|---|---|---:|---|---|---:|")
    for result in results:
        cells = (
            result.model.name,
            result.variant,
            f"{result.states:,}",
            _told(result, result.model),
            "yes" if result.is_expected else "**NO**",
            f"{result.seconds:.1f}",
        )
        console.print(f"| {' | '.join(cells)} |", markup=False)


def _told(result: Result, model: Model) -> str:
    if not result.complete:
        return "the search was not completed"
    if result.variant == GOOD:
        return f"`{result.violated}` does not hold" if result.violated else model.holds
    return model.known_bad[result.variant] if result.violated else "nothing"


if __name__ == "__main__":
    typer.run(main)
