"""One request through a played provider: faults before, the operation, faults after."""

import asyncio
from collections.abc import Awaitable, Callable

from provider_sandbox.core.faults import Decision, decide
from provider_sandbox.core.provider import Answer, Call, Guard, Provider, Refused, Route
from provider_sandbox.core.world import World

Sleep = Callable[[float], Awaitable[None]]


class ConnectionCut(Exception):
    """The client gets no answer: its connection is reset."""


async def exchange(provider: Provider, route: Route, call: Call, sleep: Sleep) -> Answer:
    """Answer a request; raises `ConnectionCut` where the plan says that no answer arrives."""
    decision = call.decision
    await sleep(decision.faults.latency.seconds(decision.draw))
    before = _before_acceptance(provider, call, decision)
    if before is not None:
        return before
    try:
        provider.admit(call)
        guard = None if route.public else provider.guard(call)
    except Refused as refused:
        return refused.answer
    if guard is None:
        return await _act(provider, route, call, None, sleep)
    name = f"{provider.name} {guard.key}"
    busy = call.world.busy
    if name in busy:
        return provider.failure(call, 409)
    busy.add(name)
    try:
        return await _act(provider, route, call, guard, sleep)
    finally:
        busy.discard(name)


def _before_acceptance(provider: Provider, call: Call, decision: Decision) -> Answer | None:
    if decision.outage is not None:
        if decision.outage.answer == "reset":
            raise ConnectionCut
        return provider.failure(call, 503)
    if decision.kind == "unavailable":
        return provider.failure(call, 503)
    if decision.kind == "throttled":
        answer = provider.failure(call, 429)
        wait = str(decision.faults.retry_after_s)
        return Answer(answer.status, answer.body, {**answer.headers, "Retry-After": wait})
    return None


async def _act(
    provider: Provider, route: Route, call: Call, guard: Guard | None, sleep: Sleep
) -> Answer:
    decision = call.decision
    hangs = decision.kind == "hang"
    if hangs and decision.faults.effect == "late":
        await sleep(decision.faults.hang_ms / 1000)
    answer = _perform(provider, route, call, guard)
    call.world.store.flush()
    if hangs and decision.faults.effect == "early":
        await sleep(decision.faults.hang_ms / 1000)
    if decision.kind == "response_lost":
        raise ConnectionCut
    return answer


def _perform(provider: Provider, route: Route, call: Call, guard: Guard | None) -> Answer:
    """The effect, remembered under its key together with its answer."""
    world, kind = call.world, f"{provider.name} key"
    world.settle()
    try:
        if guard is not None:
            record = world.store.find(kind, guard.key)
            if record is not None and record["expires"] > world.now():
                again = provider.repeat(call, guard, record)
                failing = call.decision.kind == "error_after"
                return provider.failure(call, 500) if failing else again
        answer = route.perform(call)
    except Refused as refused:
        answer = refused.answer
    shown = answer
    if call.decision.kind == "error_after":
        shown = provider.failure(call, 500)
    if guard is not None and answer.keep:
        kept = shown if provider.keeps_failures else answer
        world.store.put(
            kind,
            guard.key,
            {
                "operation": route.operation,
                "fingerprint": guard.fingerprint,
                "expires": world.now() + guard.lifetime_s,
                "status": kept.status,
                "body": kept.body,
                "resource": list(answer.resource) if answer.resource else None,
            },
        )
    return shown


def decision_for(world: World, provider: Provider, route: Route) -> Decision:
    """What the plan says about the next request of an operation."""
    draw = world.draw(f"request {provider.name}.{route.operation}")
    return decide(world.plan.of(provider.name), route.operation, draw, world.now())


async def real_sleep(seconds: float) -> None:
    """Wait in real time."""
    if seconds > 0:
        await asyncio.sleep(seconds)
