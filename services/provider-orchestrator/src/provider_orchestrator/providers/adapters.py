"""The adapters of this process: of each folder beside this file whose provider is configured."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import aiohttp

from provider_orchestrator.domain.adapters import Adapter

_PACKAGE = "provider_orchestrator.providers"


def adapters(session: aiohttp.ClientSession) -> dict[str, Adapter]:
    """Adapter by its name. A folder has one by a function `adapter` in its module `adapter`."""
    found: dict[str, Adapter] = {}
    for folder in sorted(path.name for path in Path(__file__).parent.iterdir() if path.is_dir()):
        name = f"{_PACKAGE}.{folder}.adapter"
        if not find_spec(f"{_PACKAGE}.{folder}") or not find_spec(name):
            continue
        make = getattr(import_module(name), "adapter", None)
        made: Adapter | None = make(session) if make else None
        if made is not None:
            found[made.name] = made
    return found
