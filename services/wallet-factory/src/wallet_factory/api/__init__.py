"""Wallets and their selector over HTTP."""

from wallet_factory.api import policy, selector, wallets

ROUTERS = (selector.router, policy.router, wallets.router)
"""Selector and policy first: their names are no wallet's id."""
