"""Ephemeral wallets, certificates and bulk orders over HTTP."""

from ephemeral_manager.api import bulk, wallets

ROUTERS = (bulk.router, wallets.router)
"""Bulk orders first: `/bulk` is no wallet's id."""
