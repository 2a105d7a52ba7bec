"""The sandbox as one HTTP application: played APIs, pages, and the hand that steers."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from provider_sandbox import control, pages
from provider_sandbox.core.exchange import ConnectionCut, decision_for, exchange, real_sleep
from provider_sandbox.core.provider import Answer, Call, Provider, Route
from provider_sandbox.core.world import World

RESET = "provider_sandbox.reset"
"""Key of the scope's extensions under which the server hands over how to cut the connection."""
_LONGEST_PAUSE_S = 0.05
_log = logging.getLogger("provider_sandbox")
_MARK = {"Provider-Sandbox": "no money moves here"}


def application(world: World) -> FastAPI:
    """Everything a sandbox serves."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loops = [asyncio.create_task(_again_and_again(world, do)) for do in (_happen, _deliver)]
        yield
        for loop in loops:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
        await world.deliveries.close()
        world.store.close()

    app = FastAPI(
        title="Provider sandbox",
        description="Plays Stripe, PayPal and Circle. Steered under /sandbox.",
        lifespan=lifespan,
    )
    for provider in world.providers.values():
        for route in provider.routes:
            app.add_api_route(
                f"/{provider.name}{route.path}",
                _endpoint(world, provider, route),
                methods=[route.method],
                include_in_schema=False,
            )
        app.add_api_route(
            f"/{provider.name}/{{path:path}}",
            _unknown(world, provider),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            include_in_schema=False,
        )
    app.include_router(control.router(world))
    app.include_router(pages.router(world))
    return app


async def _happen(world: World) -> None:
    world.settle()
    world.store.flush()


async def _deliver(world: World) -> None:
    await world.deliveries.send_due()


async def _again_and_again(world: World, do: Callable[[World], Awaitable[None]]) -> None:
    """Let happen what is due, as time goes by; what fails is told and does not end the loop."""
    while True:
        try:
            await do(world)
        except Exception:
            _log.exception("what was due could not be done")
        await asyncio.sleep(max(0.005, world.pause_until_due(_LONGEST_PAUSE_S)))


def _endpoint(
    world: World, provider: Provider, route: Route
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await _through(world, provider, route, request)

    answer.__name__ = f"{provider.name}_{route.operation}".replace(".", "_")
    return answer


def _unknown(world: World, provider: Provider) -> Callable[[Request], Awaitable[Response]]:
    route = Route("GET", "", "unknown", lambda call: provider.failure(call, 404), public=True)

    async def answer(request: Request) -> Response:
        return await _through(world, provider, route, request)

    return answer


async def _through(world: World, provider: Provider, route: Route, request: Request) -> Response:
    call = Call(
        world=world,
        operation=route.operation,
        method=request.method,
        path=request.url.path.removeprefix(f"/{provider.name}"),
        ids={name: str(value) for name, value in request.path_params.items()},
        query=list(request.query_params.multi_items()),
        headers=request.headers,
        raw=await request.body(),
        base_url=f"{world.public_url}/{provider.name}",
        decision=decision_for(world, provider, route),
    )
    try:
        found = await exchange(provider, route, call, real_sleep)
    except ConnectionCut:
        world.store.flush()
        return _cut(request)
    world.store.flush()
    return _response(found)


def _response(answer: Answer) -> Response:
    headers = {**_MARK, **answer.headers}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return Response(answer.body, answer.status, headers)
    return JSONResponse(answer.body, answer.status, headers)


def _cut(request: Request) -> Response:
    """Reset the connection where there is one; else let the client see an error of transport."""
    reset: Any = request.scope.get("extensions", {}).get(RESET)
    if reset is None:
        raise ConnectionResetError("the provider sandbox cut the connection")
    reset()
    return Response()
