"""What can be asked of the manager over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from chassis.auth import AnyCaller, Caller, needs
from chassis.http import (
    Cursor,
    ExpectedVersion,
    Limit,
    Page,
    Reading,
    Writing,
    after,
    etag,
    page,
)
from chassis.inputs import Input, Moment, ShortText
from chassis.strict_json import StrictRoute
from ephemeral_manager import queries
from ephemeral_manager.commands.extend_wallets import Extension, extend_wallets
from ephemeral_manager.commands.hold_wallets import Hold, hold_wallets
from ephemeral_manager.domain.wallet import State, Wallet
from ephemeral_manager.queries import (
    EphemeralWalletDetail,
    EphemeralWalletView,
    PublicKeyView,
    VerificationView,
)
from ephemeral_manager.settings import signer
from invoiceos_contracts.ephemeral_v1 import Certificate
from invoiceos_contracts.ids import InvoiceId, WalletId

router = APIRouter(route_class=StrictRoute, tags=["ephemeral wallets"])
Reader = Annotated[Caller, Depends(needs("wallets:read"))]
Manager = Annotated[Caller, Depends(needs("wallets:write"))]
WALLETS = "/api/v1/wallets/ephemeral"
CERTIFICATES = "/api/v1/certificates"
NUMBER_MAX = 2**63 - 1


class ExtensionInput(Input):
    """A longer time to live."""

    until: Moment
    """The new end, RFC 3339 with an offset."""


class HoldInput(Input):
    """A legal hold."""

    reason: ShortText


@router.get(WALLETS, response_model=Page[EphemeralWalletView])
async def get_wallets(
    caller: Reader,
    tx: Reading,
    state: State | None = None,
    invoice_id: InvoiceId | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Ephemeral wallets, newest first."""
    found = await queries.wallets(
        tx,
        caller.tenant_id,
        state=state,
        invoice_id=invoice_id,
        before=after(cursor),
        limit=limit,
    )
    return page(found, limit, lambda view: view.wallet_id)


@router.get(WALLETS + "/{wallet_id}")
async def get_wallet(
    wallet_id: WalletId, caller: Reader, tx: Reading, response: Response
) -> EphemeralWalletDetail:
    """One ephemeral wallet and the money that came to it late."""
    found = await queries.wallet(tx, caller.tenant_id, wallet_id)
    response.headers.update(etag(found.version))
    return found


@router.get(WALLETS + "/{wallet_id}/certificate")
async def get_certificate(wallet_id: WalletId, caller: Reader, tx: Reading) -> Certificate:
    """The certificate of a wallet that was destroyed."""
    return await queries.certificate(tx, caller.tenant_id, wallet_id)


@router.post(WALLETS + "/{wallet_id}/extend", response_model=EphemeralWalletView)
async def post_extension(
    wallet_id: WalletId,
    body: ExtensionInput,
    caller: Manager,
    write: Writing,
    version: ExpectedVersion,
) -> Response:
    """Give a wallet a longer time to live."""
    asked = Extension(caller.tenant_id, wallet_id, body.until, caller.actor, version)
    return await write(extend_wallets, asked, answer=EphemeralWalletView.of, headers=_etag)


@router.post(WALLETS + "/{wallet_id}/hold", response_model=EphemeralWalletView)
async def post_hold(
    wallet_id: WalletId,
    body: HoldInput,
    caller: Manager,
    write: Writing,
    version: ExpectedVersion,
) -> Response:
    """Keep a wallet from being destroyed, for a legal reason."""
    asked = Hold(caller.tenant_id, wallet_id, body.reason, version)
    return await write(hold_wallets, asked, answer=EphemeralWalletView.of, headers=_etag)


@router.post(WALLETS + "/{wallet_id}/release", response_model=EphemeralWalletView)
async def post_release(
    wallet_id: WalletId, caller: Manager, write: Writing, version: ExpectedVersion
) -> Response:
    """End a legal hold."""
    asked = Hold(caller.tenant_id, wallet_id, None, version)
    return await write(hold_wallets, asked, answer=EphemeralWalletView.of, headers=_etag)


@router.get(CERTIFICATES, response_model=Page[Certificate])
async def get_certificates(
    caller: Reader, tx: Reading, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Destruction certificates, the last first."""
    place = after(cursor)
    before = None if place is None else min(place.int, NUMBER_MAX)
    found = await queries.certificates(tx, caller.tenant_id, before, limit)
    return page(found, limit, queries.certificate_cursor)


@router.get(CERTIFICATES + "/public-key")
async def get_public_key(caller: AnyCaller) -> PublicKeyView:
    """The key to check certificates with."""
    del caller
    holder = signer()
    return PublicKeyView(algorithm="Ed25519", key_id=holder.key_id, public_key=holder.public_key)


@router.post(CERTIFICATES + "/verify")
async def post_verification(body: Certificate, caller: Reader, tx: Reading) -> VerificationView:
    """Check a certificate: its hash, signature and key, and its place in your chain."""
    return await queries.verification(tx, caller.tenant_id, body, signer().public_key)


def _etag(wallet: Wallet) -> dict[str, str]:
    return etag(wallet.version)
