"""The books and the reserve over HTTP."""

from reserve_ledger.api import ledger, reserves

ROUTERS = (ledger.router, reserves.router)
