"""What is known of a checkout's stack between commands: the data folder and `state.json`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from invoiceos_local.processes import Identity, write_private

Status = Literal["starting", "ready", "failed", "stopped"]


def data_folder() -> Path:
    """`INVOICEOS_DATA`, else `.local` in the checkout that holds the current folder."""
    chosen = os.environ.get("INVOICEOS_DATA")
    if chosen:
        return Path(chosen).expanduser().resolve()
    here = Path.cwd()
    checkout = next((p for p in (here, *here.parents) if (p / "uv.lock").exists()), here)
    return checkout / ".local"


@dataclass
class State:
    """Everything a client needs; the file is for its owner's eyes only.

    `tenant` is what `invoiceos tenant create --json` printed, with the `database` it was made in.
    """

    status: Status = "stopped"
    error: str = ""
    progress: list[str] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    infrastructure: dict[str, str] = field(default_factory=dict)
    administration: dict[str, str] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    tenant: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> State:
        """The saved state, or a fresh one."""
        try:
            saved = json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return cls()
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in saved.items() if name in known})

    def save(self, folder: Path) -> None:
        write_private(folder / "state.json", json.dumps(asdict(self), indent=2))


def read_supervisor(folder: Path) -> Identity | None:
    """The supervisor of this folder, if it is alive."""
    try:
        saved = json.loads((folder / "supervisor.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    identity = Identity(saved["pid"], saved["started"])
    return identity if identity.is_alive() else None


def write_supervisor(folder: Path, pid: int) -> None:
    identity = Identity.of(pid)
    if identity is not None:
        write_private(folder / "supervisor.json", json.dumps(asdict(identity)))
