"""Folders in memory for data that need not outlive the process that asks for them."""

from __future__ import annotations

import atexit
import os
import shutil
import uuid
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's own
_PREFIX = "invoiceos"
_ROOM_BYTES = 4 * 1024**3
"""A run of all tests fills about one gigabyte; a container often has 64 MB here."""


def folder_in_memory() -> Path | None:
    """An empty folder that goes with this process; None where memory has no room for it.

    On a disk PostgreSQL takes half a second to make a database from a template, in memory 15 ms.
    """
    try:
        room = os.statvfs(_MEMORY)
    except OSError:
        return None
    if not os.access(_MEMORY, os.W_OK) or room.f_bavail * room.f_frsize < _ROOM_BYTES:
        return None
    _sweep()
    made = _MEMORY / f"{_PREFIX}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    made.mkdir(mode=0o700)
    atexit.register(_remove, made, os.getpid())
    return made


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a fork runs these too
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """What processes left that were killed: memory is not given back by itself."""
    for folder in _MEMORY.glob(f"{_PREFIX}-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
