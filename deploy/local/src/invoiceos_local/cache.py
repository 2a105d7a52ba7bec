"""The cache of downloaded things: immutable folders, each built once and published by a rename."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_root() -> Path:
    """`INVOICEOS_CACHE`, else `invoiceos` in the user's cache folder."""
    chosen = os.environ.get("INVOICEOS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "invoiceos"


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `build` fills an empty one when it is not there yet.

    Two runs at once build it once: the second waits for the first.
    """
    root = cache_root()
    target = root / name
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
        try:
            build(staging)
            staging.chmod(0o755)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target
