"""Composition root of wallet-factory."""

from chassis.runtime import Runtime, Service
from wallet_factory.api import ROUTERS
from wallet_factory.commands.register_factory import register_factory
from wallet_factory.commands.register_master import register_master
from wallet_factory.commands.skip_used_tags import skip_used_tags
from wallet_factory.domain.configured import rails_of
from wallet_factory.domain.create2 import Create2Rail
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.queries import TRACED
from wallet_factory.settings import WalletFactorySettings, settings
from wallet_factory.subscribers import SUBSCRIPTIONS
from wallet_factory.workers import WORKERS


async def prepare(runtime: Runtime) -> None:
    """Begin the counters of the rails the settings name; one nobody wrote ends the start here."""
    for rail in rails_of(settings()):
        async with runtime.worker.transaction() as tx:
            if isinstance(rail, TempoRail):
                await register_master(tx, rail)
            elif isinstance(rail, Create2Rail):
                await register_factory(tx, rail)


service = Service(
    name="wallet-factory",
    settings=WalletFactorySettings,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    workers=WORKERS,
    prepare=prepare,
    traced=TRACED,
    restored=skip_used_tags,
)
