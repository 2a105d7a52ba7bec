"""Stripe: PaymentIntents, refunds, disputes, balance, payouts, Checkout, events."""

from provider_sandbox.providers.stripe.player import provider

__all__ = ["provider"]
