"""Payments, refunds, payouts, providers and routing over HTTP."""

from provider_orchestrator.api import payments, payouts, providers, refunds, routing

ROUTERS = (
    payments.router,
    refunds.router,
    payouts.router,
    providers.router,
    routing.router,
    payments.webhooks,
)
