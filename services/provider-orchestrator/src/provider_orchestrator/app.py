"""The provider orchestrator, put together."""

from chassis.runtime import Runtime, Service
from provider_orchestrator.api import ROUTERS
from provider_orchestrator.commands.observe_health import TEMPO
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.store.providers import insert_health
from provider_orchestrator.store.traced import TRACED
from provider_orchestrator.subscribers import SUBSCRIPTIONS, TIMERS
from provider_orchestrator.workers import WORKERS


async def prepare(runtime: Runtime) -> None:
    """Tempo is a provider from the first moment on, before anything was observed."""
    async with runtime.worker.transaction() as tx:
        await insert_health(tx, [TEMPO])


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
