"""Payments, providers and routing over HTTP."""

from provider_orchestrator.api import intents, payments, providers, routing, webhooks

ROUTERS = (
    intents.router,
    payments.router,
    providers.router,
    routing.router,
    webhooks.router,
)
