"""Payments, providers and routing over HTTP."""

from provider_orchestrator.api import payments, providers, routing

ROUTERS = (payments.router, providers.router, routing.router, payments.webhooks)
