"""`/sandbox`: the fault plan, time, truth, deliveries, statements, and the world outside."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import Field

from provider_sandbox.core.clock import iso_milliseconds, moment_of
from provider_sandbox.core.faults import Part, Plan
from provider_sandbox.core.provider import Refused
from provider_sandbox.core.statements import Breaks, as_csv, breaks_of, stated
from provider_sandbox.core.truth import summary
from provider_sandbox.core.world import World

_FOR_EVER = 32_503_680_000.0


class ClockChange(Part):
    """Whether time stands, and from when it goes on; the past is refused."""

    mode: Literal["running", "standing"] = "standing"
    now: str | None = None
    """RFC 3339, with a zone."""


class Advance(Part):
    """How far to move ahead."""

    seconds: Annotated[float, Field(ge=0, le=315_360_000)]


def router(world: World) -> APIRouter:
    """Everything a person or a test steers by. All async: the world belongs to one thread."""
    routes = APIRouter()
    _health(routes, world)
    _faults(routes, world)
    _clock(routes, world)
    _truth(routes, world)
    _deliveries(routes, world)
    _statements(routes, world)
    _simulations(routes, world)
    return routes


def _known(world: World, provider: str) -> None:
    if provider not in world.providers:
        raise HTTPException(404, f"there is {', '.join(sorted(world.providers))}")


def _health(routes: APIRouter, world: World) -> None:
    @routes.get("/livez")
    @routes.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @routes.get("/sandbox")
    async def overview() -> dict[str, Any]:
        return {
            "providers": {
                name: {
                    "title": provider.title,
                    "base_url": f"{world.public_url}/{name}",
                    "operations": sorted({route.operation for route in provider.routes}),
                    "simulations": sorted(provider.simulations()),
                }
                for name, provider in world.providers.items()
            },
            "seed": world.chance.seed,
            "now": iso_milliseconds(world.now()),
        }


def _faults(routes: APIRouter, world: World) -> None:
    @routes.get("/sandbox/faults")
    async def read() -> Plan:
        return world.plan

    @routes.put("/sandbox/faults")
    async def write(plan: Plan) -> Plan:
        known = {
            name: {route.operation for route in provider.routes}
            for name, provider in world.providers.items()
        }
        unknown = plan.unknown(known)
        if unknown:
            raise HTTPException(422, f"nobody does {', '.join(unknown)}; GET /sandbox names all")
        world.use_plan(plan)
        world.store.flush()
        return world.plan

    @routes.delete("/sandbox/faults", status_code=204)
    async def clear() -> Response:
        world.use_plan(Plan())
        world.store.flush()
        return Response(status_code=204)


def _clock(routes: APIRouter, world: World) -> None:
    def shown() -> dict[str, Any]:
        now = world.now()
        return {
            "now": iso_milliseconds(now),
            "seconds": now,
            "mode": "standing" if world.clock.stands else "running",
            "timers": len(world.timers),
        }

    @routes.get("/sandbox/clock")
    async def read() -> dict[str, Any]:
        return shown()

    @routes.put("/sandbox/clock")
    async def change(wanted: ClockChange) -> dict[str, Any]:
        try:
            target = moment_of(wanted.now) if wanted.now else world.now()
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        if wanted.now and target < world.now() - 0.001:
            raise HTTPException(409, f"it is {iso_milliseconds(world.now())}: time never goes back")
        if wanted.mode == "standing":
            world.clock.stop()
        else:
            world.clock.run()
        await world.advance(max(0.0, target - world.now()))
        return shown()

    @routes.post("/sandbox/clock/advance")
    async def advance(wanted: Advance) -> dict[str, Any]:
        await world.advance(wanted.seconds)
        return shown()


def _truth(routes: APIRouter, world: World) -> None:
    @routes.get("/sandbox/truth")
    async def truth(
        reference: str = "",
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=0, le=100_000)] = 1000,
    ) -> dict[str, Any]:
        facts = world.store.facts()
        if reference:
            facts = [fact for fact in facts if fact["reference"] == reference]
        later = [fact for fact in facts if fact["number"] > after]
        return {**summary(facts), "count": len(facts), "facts": later[:limit]}


def _deliveries(routes: APIRouter, world: World) -> None:
    @routes.get("/sandbox/deliveries")
    async def read(provider: str = "", state: str = "") -> dict[str, Any]:
        found = [
            one
            for one in world.store.all("delivery")
            if provider in ("", one["provider"]) and state in ("", one["state"])
        ]
        return {"deliveries": found}

    @routes.post("/sandbox/deliveries/send")
    async def send() -> dict[str, int]:
        return {"attempts": await world.deliveries.send_due()}


def _statements(routes: APIRouter, world: World) -> None:
    @routes.get("/sandbox/statements/{provider}")
    async def statement(
        provider: str,
        start: Annotated[str, Query(alias="from")] = "",
        end: Annotated[str, Query(alias="to")] = "",
        as_format: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    ) -> Response:
        _known(world, provider)
        try:
            window = (moment_of(start) if start else 0.0, moment_of(end) if end else _FOR_EVER)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        told = stated(world, provider, *window)
        player = world.providers[provider]
        if as_format == "csv":
            return PlainTextResponse(as_csv(player, told), media_type="text/csv")
        return JSONResponse({"provider": provider, "lines": [player.row(line) for line in told]})

    @routes.get("/sandbox/breaks/{provider}")
    async def read(provider: str) -> Breaks:
        _known(world, provider)
        return breaks_of(world, provider)

    @routes.put("/sandbox/breaks/{provider}")
    async def plant(provider: str, breaks: Breaks) -> Breaks:
        _known(world, provider)
        world.store.put("breaks", provider, breaks.model_dump(mode="json"))
        world.store.flush()
        return breaks


def _simulations(routes: APIRouter, world: World) -> None:
    @routes.post("/sandbox/simulate/{provider}/{name}")
    async def simulate(provider: str, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
        _known(world, provider)
        found = world.providers[provider].simulations()
        if name not in found:
            raise HTTPException(404, f"there is {', '.join(sorted(found))}")
        try:
            done = found[name](world, wanted)
        except Refused as refused:
            raise HTTPException(422, refused.answer.body) from None
        except (KeyError, ValueError) as error:
            raise HTTPException(422, f"{type(error).__name__}: {error}") from None
        world.store.flush()
        return done
