"""PayPal: orders, captures, authorisations, refunds, payouts, webhooks, transaction search."""

from provider_sandbox.providers.paypal.player import provider

__all__ = ["provider"]
