"""What FastAPI finds out about a route, found out once: each application would ask anew.

A service is built once a process in production and once a test here, where this was a quarter of
the time that tests over HTTP took.
"""

import copy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import fastapi.routing
from fastapi import FastAPI

from chassis import operations


def remember() -> None:
    """Remember what endpoints and their dependencies ask for, as long as this process lives."""
    for name in ("get_dependant", "get_parameterless_sub_dependant"):
        found = getattr(fastapi.routing, name)
        if not isinstance(found, _Remembered):
            setattr(fastapi.routing, name, _Remembered(found))


def analyse_once(services: Mapping[str, Any]) -> None:
    """Look at the routes of all services now, before this process is forked."""
    remember()
    for service in services.values():
        app = FastAPI()
        for router in (*service.routers, operations.router):
            app.include_router(router)
        for route in app.router.routes:
            if isinstance(route, fastapi.routing._IncludedRouter):
                route.effective_candidates()


class _Remembered:
    def __init__(self, analyse: Callable[..., Any]) -> None:
        self._analyse = cache(analyse)

    def __call__(self, **asked: Any) -> Any:
        """A copy: whoever includes the route puts its own dependencies in front."""
        found = copy.copy(self._analyse(**asked))
        found.dependencies = list(found.dependencies)
        return found
