"""A collector in a process of its own, that a failpoint may kill: url, schema, sandbox."""

import asyncio
import sys

import aiohttp

from messaging import Database
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from provider_orchestrator.workers.payments import Collector

CAN = Capabilities(
    provider="stripe",
    rail="card",
    assets=frozenset({"USD"}),
    operations=frozenset(Operation),
    methods=frozenset({"card"}),
)


def stripe_at(sandbox: str, session: aiohttp.ClientSession) -> Stripe:
    """The real adapter, at a sandbox."""
    return Stripe(
        session,
        StripeSettings(
            environment="test", stripe_secret_key="sk_test_1", stripe_url=f"{sandbox}/stripe"
        ),
    )


async def work(database: Database, sandbox: str) -> None:
    """Until nothing is due."""
    async with aiohttp.ClientSession() as session:
        collector = Collector(database, {"stripe": stripe_at(sandbox, session)}, [CAN])
        while await collector.step():
            pass


async def main(url: str, schema: str, sandbox: str) -> None:
    await work(await Database.open(url, schema), sandbox)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
