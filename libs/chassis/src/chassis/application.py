"""The HTTP side of every service: health, metrics, problems, and the service's own routes."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import uvicorn
import uvloop
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis import logs, operations, problems, telemetry
from chassis.auth import TokenReader
from chassis.openapi import Documented
from chassis.runtime import Runtime, Service
from chassis.settings import Role, Settings, load
from messaging import failpoints

health = APIRouter(include_in_schema=False)


def version_of(service: Service) -> str:
    """Version of a service's distribution."""
    try:
        return version(service.name)
    except PackageNotFoundError:
        return "unknown"


@health.get("/livez")
async def get_livez() -> dict[str, str]:
    """Alive, whatever the dependencies do."""
    return {"status": "alive"}


@health.get("/readyz")
async def get_readyz(request: Request) -> JSONResponse:
    """Ready for work, or why not."""
    runtime: Runtime = request.app.state.runtime
    found = await runtime.problems()
    return JSONResponse({"ready": not found, "problems": found}, 503 if found else 200)


@health.get("/metrics")
async def get_metrics() -> Response:
    """Prometheus exposition."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@health.get("/version")
async def get_version(request: Request) -> dict[str, str]:
    """What is running."""
    service: Service = request.app.state.runtime.service
    return {"service": service.name, "version": version_of(service)}


def _empty(service: Service, **more: Any) -> FastAPI:
    return Documented(
        title=f"Invoice OS {service.name}",
        version=version_of(service),
        docs_url=None,
        redoc_url=None,
        # FastAPI's own spans would stand beside ours and cost a quarter of a request's CPU.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        **more,
    )


def describe(service: Service) -> FastAPI:
    """The application without anything opened: enough for its OpenAPI document."""
    app = _empty(service)
    for router in service.routers:
        app.include_router(router)
    app.include_router(health)
    return app


def build(service: Service, settings: Settings) -> FastAPI:
    """The application; opening and closing it opens and closes the service."""
    runtime = Runtime(service, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        app.state.writer = runtime.writer
        app.state.api_database = runtime.api
        try:
            yield
        finally:
            await runtime.stop()

    app = _empty(service, lifespan=lifespan)
    app.state.runtime = runtime
    if settings.internal_token_public_key:
        app.state.token_reader = TokenReader(settings.internal_token_public_key)
    if Role.API in settings.roles:
        for router in (*service.routers, operations.router):
            app.include_router(router)
    app.include_router(health)
    problems.install(app)
    for wrap in reversed(service.middleware):
        app.add_middleware(cast("Any", wrap), runtime=runtime)
    app.add_middleware(telemetry.TracedRequests)
    return app


def _calm_the_collector() -> None:
    """Collect garbage rarely: what is loaded by now stays for good, and a batch makes thousands of
    objects that reference counts free by themselves (measured: a third of the CPU of a posting).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def http_server(app: FastAPI, **where: Any) -> uvicorn.Config:
    """How every service speaks HTTP, whatever address and loop it is given."""
    return uvicorn.Config(
        app,
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_keep_alive=75,  # longer than the gateway and load balancers keep theirs
        proxy_headers=False,  # nobody is believed about where a request comes from
        server_header=False,
        h11_max_incomplete_event_size=65_536,
        **where,
    )


def serve(service: Service) -> None:
    """Run a service until SIGTERM or SIGINT, then drain it."""
    settings = load(service.settings)
    logs.configure(service.name, settings.log_level)
    telemetry.configure(service.name, version_of(service), settings.otlp_endpoint)
    server = uvicorn.Server(
        http_server(
            build(service, settings),
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            timeout_graceful_shutdown=int(settings.drain_seconds),
        )
    )
    _calm_the_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        failpoints.count_steps(runner.get_loop())
        runner.run(server.serve())
    if not server.started:
        raise SystemExit(1)
