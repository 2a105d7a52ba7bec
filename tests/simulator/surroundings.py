"""Everything a service takes from its surroundings, replaced by what the seed decides."""

import os
import random
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import anyio.to_thread
import time_machine
from tests.simulator.kafka import SimKafka
from tests.simulator.loop import SimLoop
from tests.simulator.node import NODE

import chassis.runtime
import messaging.consumer
import messaging.relay
import messaging.timers
import messaging.transaction
import notification.providers.mail_loop
import notification.providers.webhook_loop
import provider_orchestrator.workers.executor
import reserve_ledger.workers
from invoiceos_local.environment import installed_services

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OURS = frozenset(
    {
        *("money", "invoiceos_contracts", "messaging", "chassis"),
        *(name.replace("-", "_") for name in installed_services()),
    }
)
BOOTED_S = 1000.0
"""What a monotonic clock shows when a run begins."""


class Ids:
    """UUIDv7 made of virtual time, a counter and the seed's bits."""

    def __init__(self, loop: SimLoop, chooser: random.Random) -> None:
        self._loop = loop
        self._chooser = chooser
        self._made = 0

    def __call__(self) -> UUID:
        self._made += 1
        millis = int((EPOCH.timestamp() + self._loop.time()) * 1000)
        low = self._chooser.getrandbits(40)
        counter = self._made
        return UUID(
            int=(millis << 80)
            | (0x7 << 76)
            | ((counter >> 22 & 0xFFF) << 64)
            | (0b10 << 62)
            | ((counter & 0x3FFFFF) << 40)
            | low
        )


class Wall:
    """Moves what `time.time` and `datetime.now` show along with the loop's time."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller
        self._shown_us = 0

    def __call__(self, now: float) -> None:
        wanted_us = round(now * 1e6)
        # `move_to` would ask the system for its time zone at every jump.
        self._traveller.shift(timedelta(microseconds=wanted_us - self._shown_us))
        self._shown_us = wanted_us


def forget_everything() -> None:
    """Empty the caches of our modules: a seed must not know what was run before it."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in OURS:
            for value in list(vars(module).values()):
                clear = getattr(value, "cache_clear", None)
                if clear is not None:
                    clear()


async def _inline(function: Any, *arguments: Any, **_: Any) -> Any:
    return function(*arguments)


@contextmanager
def installed(
    loop: SimLoop,
    chooser: random.Random,
    kafka: SimKafka,
    environment: Mapping[str, str],
    *,
    skew_s: float,
    idle_s: float,
) -> Iterator[None]:
    """Time, chance, ids and the broker are the simulator's in here."""
    chance = random.Random(chooser.random())
    random.seed(chooser.random())
    traveller = time_machine.travel(EPOCH + timedelta(seconds=skew_s), tick=False)
    with ExitStack() as stack:
        clock = stack.enter_context(traveller)
        loop.on_jump.append(Wall(clock))
        monotonic = lambda: BOOTED_S + loop.time()  # noqa: E731 - one clock under two names
        for target, name, value in (
            (time, "monotonic", monotonic),
            (time, "perf_counter", monotonic),
            (os, "urandom", chance.randbytes),
            (random, "_urandom", chance.randbytes),
            (secrets, "token_bytes", chance.randbytes),
            (messaging.transaction, "uuid7", Ids(loop, chance)),
            (messaging.relay, "AIOKafkaProducer", _of_node(kafka.producer)),
            (chassis.runtime, "KafkaBroker", _of_node(kafka.broker)),
            (messaging.relay, "IDLE_S", idle_s),
            (messaging.timers, "IDLE_S", idle_s),
            (messaging.consumer, "REPLAY_EVERY_S", idle_s),
            (messaging.relay, "MEASURE_EVERY_S", 60.0),
            (provider_orchestrator.workers.executor, "IDLE_S", idle_s),
            (reserve_ledger.workers, "IDLE_S", idle_s),
            (notification.providers.mail_loop, "POLL_S", idle_s),
            (notification.providers.webhook_loop, "POLL_S", idle_s),
            (anyio.to_thread, "run_sync", _inline),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        stack.enter_context(mock.patch.dict(os.environ, environment))
        forget_everything()
        yield


def _of_node(factory: Any) -> Any:
    """A class's stand-in: made for whichever node runs now."""

    def make(*arguments: Any, **named: Any) -> Any:
        return factory(NODE.get())(*arguments, **named)

    return make
