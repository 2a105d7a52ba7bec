"""What can be asked of the factory over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, Page, Reading, after, page
from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.ids import InvoiceId, WalletId
from wallet_factory import queries
from wallet_factory.queries import DecisionView, WalletFilter, WalletView

router = APIRouter(route_class=StrictRoute, tags=["wallets"])
Reader = Annotated[Caller, Depends(needs("wallets:read"))]
RailName = Annotated[str | None, Query(min_length=1, max_length=40, pattern=r"^[a-z0-9_-]+$")]


@router.get("/api/v1/wallets", response_model=Page[WalletView])
async def get_wallets(
    caller: Reader,
    tx: Reading,
    invoice_id: InvoiceId | None = None,
    mode: WalletMode | None = None,
    rail: RailName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Wallets, newest first."""
    wanted = WalletFilter(caller.tenant_id, invoice_id, mode, rail)
    found = await queries.wallets(tx, wanted, after(cursor), limit)
    return page(found, limit, lambda view: view.wallet_id)


@router.get("/api/v1/wallets/{wallet_id}")
async def get_wallet(wallet_id: WalletId, caller: Reader, tx: Reading) -> WalletView:
    """One wallet."""
    return await queries.wallet(tx, caller.tenant_id, wallet_id)


@router.get("/api/v1/wallets/{wallet_id}/decision")
async def get_decision(wallet_id: WalletId, caller: Reader, tx: Reading) -> DecisionView:
    """Why the wallet has its mode and rail; also for an attempt no wallet came of."""
    return await queries.decision(tx, caller.tenant_id, wallet_id)
