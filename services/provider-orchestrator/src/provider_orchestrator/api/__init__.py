"""Payments, refunds, payouts, providers and routing over HTTP."""

from provider_orchestrator.api import (
    intents,
    payment_links,
    payment_rules,
    payments,
    payouts,
    providers,
    refunds,
    routing,
    webhooks,
)

ROUTERS = (
    intents.router,
    payment_links.router,
    payment_rules.router,
    payments.router,
    refunds.router,
    payouts.router,
    payouts.batches,
    providers.router,
    routing.router,
    webhooks.router,
)
