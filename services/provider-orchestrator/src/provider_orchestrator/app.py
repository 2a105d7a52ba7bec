"""The provider orchestrator, put together."""

from chassis.runtime import Runtime, Service
from provider_orchestrator.api import ROUTERS
from provider_orchestrator.providers.catalogue import chains
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.store.providers import insert_health
from provider_orchestrator.store.traced import TRACED
from provider_orchestrator.subscribers import SUBSCRIPTIONS, TIMERS
from provider_orchestrator.workers import WORKERS


async def prepare(runtime: Runtime) -> None:
    """Chains are watched from the first moment on, before anything was observed."""
    async with runtime.worker.transaction() as tx:
        await insert_health(tx, [chain.key for chain in chains(runtime.settings)])


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
