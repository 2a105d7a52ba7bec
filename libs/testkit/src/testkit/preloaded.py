"""Everything our programs import, imported once: what `testkit.warm` forks from has this module."""

import gc
from importlib.metadata import entry_points

import river.linear_model
import river.preprocessing
import river.utils

import chassis.application
import chassis.cli
import chassis.databases
import chassis.topics
import toy_service.app

__all__ = ["chassis", "river", "toy_service"]

for _group in ("invoiceos.services", "invoiceos.commands"):
    for _point in entry_points(group=_group):
        _point.load()
# A child never looks through what is here already, so it stays shared with the parent.
gc.collect()
gc.freeze()
