"""The books and the reserve over HTTP."""

from reserve_ledger.api import files, ledger, postings, reserves, statements

ROUTERS = (files.router, ledger.router, postings.router, reserves.router, statements.router)
