"""Everything our programs import, imported once: what `testkit.warm` forks from has this module."""

import gc
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import walk_packages

import river.linear_model
import river.preprocessing
import river.utils

import chassis.application
import chassis.cli
import chassis.databases
import chassis.topics
import provider_orchestrator.providers
import toy_service.app

__all__ = ["chassis", "provider_orchestrator", "river", "toy_service"]

for _group in ("invoiceos.services", "invoiceos.commands"):
    for _point in entry_points(group=_group):
        _point.load()
# Found by listing, at the first need.
for _found in walk_packages(
    provider_orchestrator.providers.__path__, "provider_orchestrator.providers."
):
    import_module(_found.name)
# A child never looks through what is here already, so it stays shared with the parent.
gc.collect()
gc.freeze()
