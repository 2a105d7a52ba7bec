"""`make mutations`, or `python -m tests.mutations`: every planted fault must be noticed."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from tests.mutations import report, verdict
from tests.mutations.catalogue import MUTATIONS
from tests.mutations.mutation import Mutation, NoLongerApplies
from tests.mutations.report import Kill
from tests.mutations.verdict import Run, Verdict
from tests.mutations.workbench import Workbench, workbench

from invoiceos_local.state import data_folder

console = Console(highlight=False, soft_wrap=True)
BASELINE_S_MAX = 1800


def main(
    *,
    only: Annotated[str, typer.Option(help="Names, separated by commas; all when none")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Copies of the checkout to work in")] = 1,
    write_docs: Annotated[
        bool, typer.Option(help="Only put the saved table into docs/mutations.md")
    ] = False,
) -> None:
    """Plant each fault in a copy of this checkout and run the suite that must notice it.

    Exit code 1 when one survives, or can no longer be planted.
    """
    target = data_folder() / "mutations.json"
    if write_docs:
        console.print(f"written: {report.write_document(target)}")
        return
    chosen = _chosen(only)
    kills = []
    for kill in _run_all(chosen, jobs):
        _tell(kill)
        report.save(target, [kill], [mutation.name for mutation in MUTATIONS])
        kills.append(kill)
    shown = {kill.mutation.name: kill.as_json() for kill in kills}
    console.print(f"\n{escape(report.table(shown))}\n")
    caught = sum(kill.is_caught for kill in kills)
    console.print(f"{caught} of {len(kills)} caught; written: {target}")
    if caught < len(kills):
        raise typer.Exit(1)


def _chosen(only: str) -> list[Mutation]:
    names = [name for name in only.split(",") if name]
    unknown = sorted(set(names) - {mutation.name for mutation in MUTATIONS})
    if unknown:
        raise typer.BadParameter(f"no mutation is named {', '.join(unknown)}")
    return [mutation for mutation in MUTATIONS if not names or mutation.name in names]


def _run_all(chosen: list[Mutation], jobs: int) -> Iterator[Kill]:
    """What becomes of each, in their order, as soon as it is known."""
    jobs = min(jobs, len(chosen))
    free: queue.SimpleQueue[Workbench] = queue.SimpleQueue()
    with ExitStack() as stack:
        benches = [stack.enter_context(workbench()) for _ in range(jobs)]
        failing = _baseline(benches[0], chosen)
        for bench in benches:
            free.put(bench)

        def run_one(mutation: Mutation) -> Kill:
            if failing & {mutation.suite, *_tests_of(mutation)}:
                return Kill(mutation, Verdict.SUITE_FAILS_WITHOUT_IT)
            bench = free.get()
            try:
                return try_out(bench, mutation)
            finally:
                free.put(bench)

        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(run_one, chosen)


def _tests_of(mutation: Mutation) -> list[str]:
    return [] if mutation.is_simulated else [a for a in mutation.arguments if a[:1] != "-"]


def _baseline(bench: Workbench, chosen: list[Mutation]) -> set[str]:
    """Tests and seeds among the suites that fail though nothing is planted."""
    failing = set()
    for suite in sorted({mutation.suite for mutation in chosen if mutation.is_simulated}):
        run = bench.simulated(suite.split()[1:])
        if _told_as_failed(suite, run):
            failing.add(suite)
    tests = sorted({test for mutation in chosen for test in _tests_of(mutation)})
    run = bench.tested(tests, BASELINE_S_MAX) if tests else None
    if run is None or not _told_as_failed("tests", run):
        return failing
    failed = {failure.test for failure in (*run.failures, *run.unready)}
    named = {test for test in tests if any(fails.startswith(test) for fails in failed)}
    return failing | (named or set(tests))


def _told_as_failed(suite: str, run: Run) -> bool:
    console.print(f"[dim]{run.seconds:5.0f} s[/]  {suite} without a mutation: exit code {run.code}")
    if run.code:
        console.print(escape(run.output))
    return run.code != 0


def try_out(bench: Workbench, mutation: Mutation) -> Kill:
    """Plant a mutation, run its suite, take it out again."""
    try:
        with bench.planted(mutation):
            run = bench.run(mutation)
    except NoLongerApplies as reason:
        return Kill(mutation, Verdict.NO_LONGER_APPLIES, message=str(reason))
    first = run.failures[0] if run.failures else None
    return Kill(
        mutation,
        verdict.of(run),
        caught_by=first.test if first else "",
        message=first.message if first else run.output,
        seconds=run.seconds,
    )


def _tell(kill: Kill) -> None:
    colour = "green" if kill.is_caught else "bold red"
    console.print(
        f"[dim]{kill.seconds:5.0f} s[/]  [{colour}]{kill.verdict.value}[/]  {kill.mutation.name}"
        f"  [dim]{escape(kill.caught_by)}[/]"
    )
    if not kill.is_caught:
        console.print(escape(kill.message))


if __name__ == "__main__":
    typer.run(main)
