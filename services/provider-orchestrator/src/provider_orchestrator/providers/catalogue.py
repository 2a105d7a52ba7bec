"""Which providers there are: each folder beside this file that declares what it can do.

A folder has a module `capabilities` with one function of that name, from the settings to what it
can do on each of its rails; nothing else names the folder.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from provider_orchestrator.domain.routing import Capabilities
from provider_orchestrator.settings import OrchestratorSettings, settings

_PACKAGE = "provider_orchestrator.providers"


def declared(chosen: OrchestratorSettings) -> tuple[Capabilities, ...]:
    """What the providers can do under these settings, in the order of their names."""
    found: list[Capabilities] = []
    for folder in sorted(path.name for path in Path(__file__).parent.iterdir() if path.is_dir()):
        name = f"{_PACKAGE}.{folder}.capabilities"
        if find_spec(f"{_PACKAGE}.{folder}") and find_spec(name):
            found += import_module(name).capabilities(chosen)
    return tuple(found)


@cache
def catalogue() -> tuple[Capabilities, ...]:
    """What the providers of this process can do."""
    return declared(settings())
