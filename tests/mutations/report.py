"""The table of kills: on the screen, in a file, in the documents."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.mutations.mutation import Mutation
from tests.mutations.verdict import Verdict
from tests.mutations.workbench import ROOT

DOCUMENT = ROOT / "docs" / "mutations.md"
BEGIN, END = "<!-- kills -->", "<!-- end of kills -->"
_MESSAGE_MAX = 300


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of one mutation."""

    mutation: Mutation
    verdict: Verdict
    caught_by: str = ""
    message: str = ""
    seconds: float = 0

    @property
    def is_caught(self) -> bool:
        """Whether the suite noticed."""
        return self.verdict is Verdict.CAUGHT

    def as_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "sentence": self.mutation.sentence,
            "file": self.mutation.file,
            "suite": self.mutation.suite,
            "verdict": self.verdict.value,
            "caught_by": self.caught_by,
            "message": " ".join(self.message.split())[:_MESSAGE_MAX],
            "seconds": round(self.seconds, 1),
        }


def save(path: Path, kills: Sequence[Kill], known_names: Sequence[str]) -> None:
    """Replace those that were run, keep the others that still exist, in the catalogue's order."""
    try:
        kept = json.loads(path.read_text())["mutations"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        kept = {}
    kept |= {kill.mutation.name: kill.as_json() for kill in kills}
    found = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "mutations": {name: kept[name] for name in known_names if name in kept},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1))


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def table(mutations: Mapping[str, Mapping[str, Any]]) -> str:
    """The kills as a table in Markdown."""
    rows = [
        "| mutation | what the changed code does | where | caught by | s |",
        "|---|---|---|---|---|",
    ]
    for name, kill in mutations.items():
        caught = kill["verdict"] == Verdict.CAUGHT
        test = kill["caught_by"].partition("[")[0]
        by = f"`{test}`" if caught else f"**{kill['verdict']}**"
        cells = (f"`{name}`", kill["sentence"], f"`{_short(kill['file'])}`", by)
        rows.append(f"| {' | '.join(cells)} | {kill['seconds']:.0f} |")
    return "\n".join(rows)


def _short(file: str) -> str:
    """Without the folders that every file of a service or library has."""
    return file.partition("/src/")[2] or file.partition("/")[2]


def write_document(path: Path) -> Path:
    """Put the saved kills into the document, between its marks."""
    found = json.loads(path.read_text())
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, marked, after = rest.partition(END)
    if not marked:
        raise SystemExit(f"{DOCUMENT} has no marks {BEGIN} and {END}")
    kills = found["mutations"]
    caught = sum(kill["verdict"] == Verdict.CAUGHT for kill in kills.values())
    told = (
        f"{caught} of {len(kills)} caught; last run {found['taken_at'][:10]}, "
        f"commit {found['commit']}, Python {found['python']}."
    )
    DOCUMENT.write_text(f"{before}{BEGIN}\n{told}\n\n{table(kills)}\n{END}{after}")
    return DOCUMENT
