"""Loops beside the consumers: the model is learned and loaded here, never while deciding."""

import asyncio

import structlog

from chassis.runtime import Runtime
from wallet_factory.commands.learn_modes import learn_modes, load_model
from wallet_factory.store.selector import LABELS_AT_ONCE

log = structlog.get_logger()
LOOK_S = 30.0


async def learn_from_outcomes(runtime: Runtime) -> None:
    """Learn what is new, and decide by the newest version, whoever has learned it."""
    while True:
        learned = await learn_modes(runtime.worker)
        model = await load_model(runtime.worker)
        if learned and model is not None:
            log.info("selector.learned", labels=learned, version=model.version)
        if learned < LABELS_AT_ONCE:
            await asyncio.sleep(LOOK_S)


WORKERS = (learn_from_outcomes,)
