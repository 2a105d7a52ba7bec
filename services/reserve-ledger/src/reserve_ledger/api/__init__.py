"""The books and the reserve over HTTP."""

from reserve_ledger.api import ledger, postings, reserves

ROUTERS = (ledger.router, postings.router, reserves.router)
