"""The books and the reserve over HTTP."""

from reserve_ledger.api import ledger, postings, reserves, statements

ROUTERS = (ledger.router, postings.router, reserves.router, statements.router)
