"""Circle: payment intents, payments, wallets, transfers, mint and redeem, notifications."""

from provider_sandbox.providers.circle.player import provider

__all__ = ["provider"]
