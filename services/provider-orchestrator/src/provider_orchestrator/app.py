"""The provider orchestrator, put together."""

from chassis.runtime import Runtime, Service
from provider_orchestrator.api import ROUTERS
from provider_orchestrator.commands.declare_methods import declare_methods
from provider_orchestrator.providers.catalogue import catalogue, chains
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.store.providers import insert_health
from provider_orchestrator.store.traced import TRACED
from provider_orchestrator.subscribers import SUBSCRIPTIONS, TIMERS
from provider_orchestrator.workers import WORKERS


async def prepare(runtime: Runtime) -> None:
    """Chains are watched from the first moment on, and what can be paid with is said."""
    async with runtime.worker.transaction() as tx:
        await insert_health(tx, [chain.key for chain in chains(runtime.settings)])
        await declare_methods(tx, catalogue())


service = Service(
    name="provider-orchestrator",
    settings=OrchestratorSettings,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    timers=TIMERS,
    workers=WORKERS,
    prepare=prepare,
    traced=TRACED,
)
