"""Which providers there are: each folder beside this file that declares what it can do.

A folder has a module `capabilities` with one function of that name, from the settings to what it
can do on each of its rails, and, where money comes over chains, a module `adapter` with a function
`chains`, from the settings to the chains to watch; nothing else names the folder.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from provider_orchestrator.domain.routing import Capabilities
from provider_orchestrator.domain.watching import Watching
from provider_orchestrator.providers.chain.profile import ChainProfile
from provider_orchestrator.settings import OrchestratorSettings, settings

_PACKAGE = "provider_orchestrator.providers"


def declared(chosen: OrchestratorSettings) -> tuple[Capabilities, ...]:
    """What the providers can do under these settings, in the order of their names."""
    found: list[Capabilities] = []
    for module in _modules("capabilities"):
        found += module.capabilities(chosen)
    return tuple(found)


def chains(chosen: OrchestratorSettings) -> tuple[ChainProfile, ...]:
    """The chains to watch under these settings; raises `ValueError` where two are the same."""
    found: list[ChainProfile] = []
    for module in _modules("adapter"):
        if hasattr(module, "chains"):
            found += module.chains(chosen)
    if len({one.chain_id for one in found}) < len(found) or len({one.key for one in found}) < len(
        found
    ):
        message = "each chain is configured once, as a rail with a name of its own"
        raise ValueError(message)
    return tuple(found)


def watching(chosen: OrchestratorSettings) -> dict[int, Watching]:
    """How deposits of each chain are found."""
    return {
        one.chain_id: Watching(
            one.chain_id, one.key.provider, one.key.rail, one.confirmations, one.rules.by_address
        )
        for one in chains(chosen)
    }


def _modules(name: str) -> list[ModuleType]:
    """The modules of this name in the folders beside this file, in the order of the folders."""
    found = []
    for folder in sorted(path.name for path in Path(__file__).parent.iterdir() if path.is_dir()):
        full = f"{_PACKAGE}.{folder}.{name}"
        if find_spec(f"{_PACKAGE}.{folder}") and find_spec(full):
            found.append(import_module(full))
    return found


@cache
def catalogue() -> tuple[Capabilities, ...]:
    """What the providers of this process can do."""
    return declared(settings())
