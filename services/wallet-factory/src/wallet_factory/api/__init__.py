"""Wallets and their selector over HTTP."""

from wallet_factory.api import selector, wallets

ROUTERS = (selector.router, wallets.router)
"""The selector first: its name is no wallet's id."""
