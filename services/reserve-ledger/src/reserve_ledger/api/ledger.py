"""The books, for reading: balances, statements, transactions, proofs."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from chassis.http import Cursor, Limit, Page, Reading, after, page
from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import AssetCode
from invoiceos_contracts.ids import InvoiceId, PaymentId, TransactionId
from reserve_ledger.api.reading import Moment, Reader, period
from reserve_ledger.queries import (
    accounts,
    addresses,
    reserves,
    transactions,
    verification,
)
from reserve_ledger.queries.accounts import (
    SEQUENCE_MAX,
    AccountStatement,
    Balances,
    Period,
    TrialBalance,
)
from reserve_ledger.queries.addresses import AddressBalances, Asked
from reserve_ledger.queries.reserves import ReserveStatementView
from reserve_ledger.queries.transactions import TransactionView
from reserve_ledger.queries.verification import Verification

router = APIRouter(route_class=StrictRoute)


@router.get("/api/v1/ledger/balances")
async def get_balances(
    caller: Reader, tx: Reading, as_of: Moment | None = None, asset: AssetCode | None = None
) -> Balances:
    """Balances now, or as of any moment."""
    return await accounts.balances(tx, caller.tenant_id, as_of, asset)


@router.get("/api/v1/ledger/trial-balance")
async def get_trial_balance(
    caller: Reader, tx: Reading, as_of: Moment | None = None
) -> TrialBalance:
    """Every account on its side, now or as of any moment."""
    return await accounts.trial_balance(tx, caller.tenant_id, as_of)


Prefix = Annotated[str, Query(max_length=160, pattern=r"^[a-z0-9_:-]*$")]


def _asked(
    prefix: Prefix = "",
    asset: AssetCode | None = None,
    as_of: Moment | None = None,
    effective_at: Moment | None = None,
) -> Asked:
    return Asked(prefix, asset, as_of, effective_at)


@router.get("/api/v1/ledger/accounts/{code}/statement")
async def get_account_statement(
    code: Annotated[str, Path(pattern=r"^[0-9]{4}$")],
    asset: AssetCode,
    period: Annotated[Period, Depends(period)],
    caller: Reader,
    tx: Reading,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> AccountStatement:
    """An account's postings from one moment to just before another, with running balance."""
    return await accounts.account_statement(
        tx, (caller.tenant_id, code, asset), period, after=after(cursor), limit=limit
    )


PlaceCursor = Annotated[str | None, Query(max_length=300, pattern=r"^[A-Za-z0-9_-]+$")]


@router.get("/api/v1/ledger/accounts")
async def get_accounts(
    caller: Reader,
    tx: Reading,
    asked: Annotated[Asked, Depends(_asked)],
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> AddressBalances:
    """Balances of addresses that begin alike: now, as booked by a moment, as counting at one."""
    return await addresses.balances_by_address(
        tx, caller.tenant_id, asked, cursor=cursor, limit=limit
    )


@router.get("/api/v1/ledger/transactions", response_model=Page[TransactionView])
async def get_transactions(
    caller: Reader,
    tx: Reading,
    invoice_id: InvoiceId | None = None,
    payment_id: PaymentId | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Transactions, newest first; those of an invoice or a payment where one is named."""
    found = await transactions.transactions(
        tx, caller.tenant_id, (invoice_id, payment_id), before=_before(cursor), limit=limit
    )
    return page(found, limit, lambda view: UUID(int=view.sequence))


@router.get("/api/v1/ledger/transactions/{transaction_id}")
async def get_transaction(
    transaction_id: TransactionId, caller: Reader, tx: Reading
) -> TransactionView:
    """One transaction with its postings."""
    return await transactions.transaction(tx, caller.tenant_id, transaction_id)


@router.get("/api/v1/ledger/verification")
async def get_verification(
    caller: Reader,
    tx: Reading,
    from_sequence: Annotated[int, Query(ge=1, le=SEQUENCE_MAX)] = 1,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Verification:
    """Recompute the chain from the rows: whole, or the first transaction that is not."""
    return await verification.verify_chain(
        tx, caller.tenant_id, from_sequence=from_sequence, limit=limit
    )


@router.get("/api/v1/reserves")
async def get_reserves(caller: Reader, tx: Reading) -> ReserveStatementView:
    """The latest reserve statement of the platform."""
    del caller
    return await reserves.latest_statement(tx)


@router.get("/api/v1/reserves/statements", response_model=Page[ReserveStatementView])
async def get_reserve_statements(
    caller: Reader, tx: Reading, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Reserve statements, newest first."""
    del caller
    found = await reserves.reserve_statements(tx, before=_before(cursor), limit=limit)
    return page(found, limit, lambda view: UUID(int=view.sequence))


def _before(cursor: str | None) -> int:
    """Sequence a cursor continues before."""
    place = after(cursor)
    return SEQUENCE_MAX if place is None else min(place.int, SEQUENCE_MAX)
