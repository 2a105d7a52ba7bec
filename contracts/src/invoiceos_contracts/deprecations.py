"""Versions of events that have a successor: both are stated until nobody reads the old one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deprecation:
    """One version on its way out."""

    type: str
    """CloudEvents type of the old version."""
    replaced_by: str
    """CloudEvents type of its successor."""
    release: str
    """The release that stated both for the first time."""


DEPRECATIONS: dict[str, Deprecation] = {}
"""CloudEvents type of the old version -> what takes its place. There is none so far."""
