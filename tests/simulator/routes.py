"""What FastAPI finds out about a route, found out once: each start of a service would ask anew."""

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastapi.routing
from fastapi import FastAPI

from chassis import operations

_analyse = cache(fastapi.routing.get_dependant)


def _analysed(**asked: Any) -> Any:
    """A copy: whoever includes the route puts its own dependencies in front."""
    found = copy.copy(_analyse(**asked))
    found.dependencies = list(found.dependencies)
    return found


def analyse_once(services: Mapping[str, Any]) -> None:
    """Look at the routes of all services, and remember it for as long as this process lives."""
    fastapi.routing.get_dependant = _analysed
    for service in services.values():
        app = FastAPI()
        for router in (*service.routers, operations.router):
            app.include_router(router)
        for route in app.router.routes:
            if isinstance(route, fastapi.routing._IncludedRouter):
                route.effective_candidates()
