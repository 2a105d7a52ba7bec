"""Payments, refunds, payouts, providers and routing over HTTP."""

from provider_orchestrator.api import (
    intents,
    payments,
    payouts,
    providers,
    refunds,
    routing,
    webhooks,
)

ROUTERS = (
    intents.router,
    payments.router,
    refunds.router,
    payouts.router,
    providers.router,
    routing.router,
    webhooks.router,
)
