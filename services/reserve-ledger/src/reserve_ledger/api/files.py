"""The books as files: the same rows as CSV or XLSX, streamed."""

from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import StreamingResponse

from chassis.strict_json import StrictRoute
from invoiceos_contracts.base import AssetCode
from messaging import Database
from reserve_ledger.api.reading import Reader, period
from reserve_ledger.queries import exports
from reserve_ledger.queries.accounts import Period
from reserve_ledger.queries.exports import Pages

router = APIRouter(route_class=StrictRoute)


class FileForm(StrEnum):
    """What the file is, as its path ends."""

    CSV = "csv"
    XLSX = "xlsx"


_MEDIA: Final = {
    FileForm.CSV: "text/csv",
    FileForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_WRITERS: Final[dict[FileForm, Callable[[Sequence[str], Pages], AsyncIterator[bytes]]]] = {
    FileForm.CSV: exports.as_csv,
    FileForm.XLSX: exports.as_xlsx,
}
_FILE: Final[dict[str, Any]] = {
    "response_class": StreamingResponse,
    "responses": {200: {"content": {media: {} for media in _MEDIA.values()}}},
}


@router.get("/api/v1/ledger/accounts/{code}/statement.csv", **_FILE)
@router.get("/api/v1/ledger/accounts/{code}/statement.xlsx", **_FILE)
async def get_account_statement_file(
    code: Annotated[str, Path(pattern=r"^[0-9]{4}$")],
    asset: AssetCode,
    between: Annotated[Period, Depends(period)],
    caller: Reader,
    request: Request,
) -> StreamingResponse:
    """The account statement as a file, whole."""
    exports.check(code, between)
    account = (caller.tenant_id, code, asset)
    pages = exports.statement(_database(request), account, between)
    return _sent(request, f"{code}-{asset}", exports.STATEMENT, pages)


@router.get("/api/v1/ledger/balances.csv", **_FILE)
@router.get("/api/v1/ledger/balances.xlsx", **_FILE)
async def get_balances_file(caller: Reader, request: Request) -> StreamingResponse:
    """What stands at each address now, as a file."""
    pages = exports.balances(_database(request), caller.tenant_id)
    return _sent(request, "balances", exports.BALANCES, pages)


@router.get("/api/v1/ledger/transactions.csv", **_FILE)
@router.get("/api/v1/ledger/transactions.xlsx", **_FILE)
async def get_transactions_file(
    between: Annotated[Period, Depends(period)],
    caller: Reader,
    request: Request,
) -> StreamingResponse:
    """Every posting of a period as a file, a row each, oldest first."""
    pages = exports.transactions(_database(request), caller.tenant_id, between)
    return _sent(request, "transactions", exports.TRANSACTIONS, pages)


def _database(request: Request) -> Database:
    found: Database = request.app.state.api_database
    return found


def _sent(request: Request, name: str, columns: Sequence[str], pages: Pages) -> StreamingResponse:
    form = FileForm(request.url.path.rpartition(".")[2])
    return StreamingResponse(
        _WRITERS[form](columns, pages),
        media_type=_MEDIA[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'},
    )
