"""The table on the terminal, the JSON file, and the block in docs/benchmarks.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tests.load.cases import CASES
from tests.load.measure import Measure, Outcome, Ratio

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def number(value: float) -> str:
    """Short: three digits that mean something."""
    if value != value:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _range(rounds: Any) -> str:
    return f"{number(min(rounds))} – {number(max(rounds))}" if len(rounds) > 1 else ""


def _target(ratio: Ratio) -> str:
    if ratio.at_least is not None:
        return f"≥ {number(ratio.at_least)}"
    return "" if ratio.at_most is None else f"≤ {number(ratio.at_most)}"


def _costs(measure: Measure) -> str:
    return ", ".join(f"{name} {number(cost)}" for name, cost in measure.cpu_us.items())


def _more(measure: Measure) -> str:
    shown = {k: v for k, v in measure.more.items() if isinstance(v, int | float)}
    return ", ".join(f"{name.replace('_ms', '')} {number(v)} ms" for name, v in shown.items())


def show(console: Console, name: str, outcome: Outcome, seconds: float) -> None:
    """Print what a case found."""
    console.print(f"\n[bold]{name}[/]  {CASES[name].question}  [dim]{seconds:.0f} s[/]")
    table = Table(box=None, pad_edge=False)
    for title in ("", "median", "", "min – max", "CPU µs an item", ""):
        table.add_column(title, justify="right" if title in ("median", "min – max") else "left")
    for one in outcome.measures:
        cells = (one.name, number(one.value), one.unit, _range(one.rounds), _costs(one), _more(one))
        table.add_row(*map(escape, cells))
    console.print(table)
    for ratio in outcome.ratios:
        mark = {True: "[green]reached[/]", False: "[yellow]not reached[/]", None: ""}[ratio.reached]
        goal = f"{ratio.goal} target {_target(ratio)}" if _target(ratio) else ""
        shown = f"{number(ratio.value)} ({_range(ratio.rounds)})"
        console.print(f"  ratio  {escape(ratio.name)}: [bold]{shown}[/]  {goal} {mark}")
    for what, holds in outcome.books.items():
        console.print(f"  books  {escape(what)}: " + ("yes" if holds else "[bold red]NO[/]"))
    for note in outcome.notes:
        console.print(f"  note   {escape(note)}")


def as_json(outcome: Outcome, seconds: float, *, quick: bool) -> dict[str, Any]:
    """A case as the file holds it."""
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "quick": quick,
        "machine": machine(),
        "measures": [asdict(one) | {"value": one.value} for one in outcome.measures],
        "ratios": [
            asdict(one) | {"value": one.value, "reached": one.reached} for one in outcome.ratios
        ],
        "books": outcome.books,
        "notes": outcome.notes,
    }


def failed_json(error: BaseException, seconds: float, *, quick: bool) -> dict[str, Any]:
    """A case that could not be measured; never mistaken for one that was."""
    return as_json(Outcome(), seconds, quick=quick) | {"error": f"{type(error).__name__}: {error}"}


def machine() -> dict[str, Any]:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 1),
        "commit": _commit(),
    }


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def load(path: Path) -> dict[str, Any]:
    """The file's cases so far."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {"cases": {}}
    return found


def save(path: Path, cases: Mapping[str, Any]) -> None:
    """Replace the cases that were run, keep the others."""
    known = load(path)
    known["cases"] = known.get("cases", {}) | dict(cases)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".json.new")
    staging.write_text(json.dumps(known, indent=1))
    staging.replace(path)


def write_document(source: Path) -> Path:
    """Put the file's figures into the document, between its marks."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{DOCUMENT} has no marks {BEGIN} and {END}")
    cases = load(source)["cases"]
    blocks = [_block(name, cases[name]) for name in CASES if name in cases]
    body = "\n".join(blocks) or "No case has been run yet.\n"
    DOCUMENT.write_text(f"{before}{BEGIN}\n{body}{END}{after}")
    return DOCUMENT


def _block(name: str, case: Mapping[str, Any]) -> str:
    on = case["machine"]
    lines = [
        f"### `{name}`: {CASES[name].question}\n",
        _circumstances(case, on) + "\n",
    ]
    if "error" in case:
        return "\n".join([*lines, f"**Not measured**: {case['error'].splitlines()[0]}\n", ""])
    lines += _ratio_rows(case) + _measure_rows(case)
    lines += [
        f"Books, {what}: **{'yes' if holds else 'NO'}**.  " for what, holds in case["books"].items()
    ]
    lines += [f"\n{note}" for note in case["notes"]]
    return "\n".join([*lines, "", ""])


def _circumstances(case: Mapping[str, Any], on: Mapping[str, Any]) -> str:
    quick = ", quick run" if case["quick"] else ""
    return (
        f"{case['taken_at'][:10]}, commit {on['commit']}, {on['cores']} cores, "
        f"{on['memory_gib']} GiB, Python {on['python']}, load {on['load_average']} afterwards{quick}."
    )


def _ratio_rows(case: Mapping[str, Any]) -> list[str]:
    if not case["ratios"]:
        return []
    rows = ["| ratio | median | min – max | goal | target | reached |", "|---|---|---|---|---|---|"]
    for found in case["ratios"]:
        reached = {True: "yes", False: "no", None: ""}[found["reached"]]
        ratio = Ratio(**{key: found[key] for key in Ratio.__dataclass_fields__})
        cells = (ratio.name, f"**{number(ratio.value)}**", _range(ratio.rounds), ratio.goal)
        rows.append(f"| {' | '.join(cells)} | {_target(ratio)} | {reached} |")
    return [*rows, ""]


def _measure_rows(case: Mapping[str, Any]) -> list[str]:
    rows = ["| measured | median | min – max | CPU µs an item | |", "|---|---|---|---|---|"]
    for found in case["measures"]:
        one = Measure(**{key: found[key] for key in Measure.__dataclass_fields__})
        cells = (one.name, f"{number(one.value)} {one.unit}", _range(one.rounds), _costs(one))
        rows.append(f"| {' | '.join(cells)} | {_more(one)} |")
    return [*rows, ""]
