"""What can be read of ephemeral wallets and certificates, in the shape it is answered with."""

import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from chassis.certificates import findings
from ephemeral_manager import store
from ephemeral_manager.domain.wallet import State, Wallet
from ephemeral_manager.errors import CertificateNotFound, WalletNotFound
from invoiceos_contracts import Amount
from invoiceos_contracts.ephemeral_v1 import Certificate
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId
from messaging import Tx
from messaging.operations import Traced

_BY_ID = f"""
select {store.WALLET_COLUMNS} from ephemeral_wallet w where w.tenant_id = $1 and w.id = $2
"""
_LIST = f"""
select {store.WALLET_COLUMNS} from ephemeral_wallet w
where w.tenant_id = $1 and ($2::text is null or w.state = $2)
    and ($3::uuid is null or w.invoice_id = $3) and ($4::uuid is null or w.id < $4)
order by w.id desc limit $5
"""


class LateFundsView(BaseModel):
    """A payment that came late."""

    payment_id: PaymentId
    amount: Amount
    state: str | None
    late: str
    """detected, or resolved once it is known what became of it."""
    policy: str | None
    """accept: applied to the invoice; credit: kept as the payer's credit."""


class EphemeralWalletView(BaseModel):
    """An ephemeral wallet."""

    wallet_id: WalletId
    invoice_id: InvoiceId
    rail: str
    chain_id: int | None
    address: str
    state: State
    reason: str | None
    """Why it was closed."""
    expires_at: datetime
    watch_window_s: int
    watch_until: datetime | None
    watch_restarts: int
    legal_hold: bool
    legal_hold_reason: str | None
    created_at: datetime
    drained_at: datetime | None
    destroying_at: datetime | None
    destroyed_at: datetime | None
    version: int

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        """The view of a wallet."""
        return cls(
            wallet_id=wallet.id,
            invoice_id=wallet.invoice_id,
            rail=wallet.rail,
            chain_id=wallet.chain_id,
            address=wallet.address,
            state=wallet.state,
            reason=wallet.closure.reason if wallet.closure else None,
            expires_at=wallet.expires_at,
            watch_window_s=wallet.watch_window_s,
            watch_until=wallet.watch_until,
            watch_restarts=wallet.restarts,
            legal_hold=wallet.legal_hold_reason is not None,
            legal_hold_reason=wallet.legal_hold_reason,
            created_at=wallet.created_at,
            drained_at=wallet.drained_at,
            destroying_at=wallet.destroying_at,
            destroyed_at=wallet.destroyed_at,
            version=wallet.version,
        )


class EphemeralWalletDetail(EphemeralWalletView):
    """An ephemeral wallet and the money that came to it late."""

    late_funds: list[LateFundsView]


class CheckView(BaseModel):
    """One thing that was checked."""

    check: str
    passed: bool


class VerificationView(BaseModel):
    """Whether a certificate is right, and each thing that was checked."""

    valid: bool
    checks: list[CheckView]


class PublicKeyView(BaseModel):
    """The key certificates are signed with."""

    algorithm: str
    key_id: str
    public_key: str
    """Base64, 32 bytes."""


async def wallets(
    tx: Tx,
    tenant_id: UUID,
    *,
    state: State | None,
    invoice_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> Sequence[EphemeralWalletView]:
    """Wallets newest first, one more than `limit` where there are more."""
    rows = await tx.fetch(_LIST, tenant_id, state, invoice_id, before, limit + 1)
    return [EphemeralWalletView.of(store.wallet_of(row)) for row in rows]


async def wallet(tx: Tx, tenant_id: UUID, wallet_id: UUID) -> EphemeralWalletDetail:
    """One wallet; raises `WalletNotFound`."""
    row = await tx.fetchrow(_BY_ID, tenant_id, wallet_id)
    if row is None:
        raise WalletNotFound
    late = await tx.fetch(
        """
        select id, amount_minor, asset, state, late, policy from wallet_payment
        where tenant_id = $1 and wallet_id = $2 and late is not null order by id limit 1000
        """,
        tenant_id,
        wallet_id,
    )
    view = EphemeralWalletView.of(store.wallet_of(row))
    return EphemeralWalletDetail(
        **view.model_dump(),
        late_funds=[
            LateFundsView(
                payment_id=item["id"],
                amount=Amount(amount_minor=item["amount_minor"], asset=item["asset"]),
                state=item["state"],
                late=item["late"],
                policy=item["policy"],
            )
            for item in late
        ],
    )


async def certificate(tx: Tx, tenant_id: UUID, wallet_id: UUID) -> Certificate:
    """The certificate of a destroyed wallet; raises `CertificateNotFound`."""
    found = await tx.fetchval(
        "select certificate from destruction_log where tenant_id = $1 and wallet_id = $2",
        tenant_id,
        wallet_id,
    )
    if found is None:
        raise CertificateNotFound
    return Certificate.model_validate(found)


async def certificates(
    tx: Tx, tenant_id: UUID, before: int | None, limit: int
) -> Sequence[Certificate]:
    """Certificates by number, the last first, one more than `limit` where there are more."""
    rows = await tx.fetch(
        """
        select certificate from destruction_log
        where tenant_id = $1 and ($2::bigint is null or number < $2)
        order by number desc limit $3
        """,
        tenant_id,
        before,
        limit + 1,
    )
    return [Certificate.model_validate(row["certificate"]) for row in rows]


async def verification(
    tx: Tx, tenant_id: UUID, given: Certificate, public_key: str
) -> VerificationView:
    """Check a certificate by itself, against the platform's key, and against the tenant's chain."""
    row = await tx.fetchrow(
        """
        select l.certificate, coalesce(p.hash, $3) = l.previous_hash as linked
        from destruction_log l
        left join destruction_log p on p.tenant_id = l.tenant_id and p.number = l.number - 1
        where l.tenant_id = $1 and l.hash = $2
        """,
        tenant_id,
        given.hash,
        store.GENESIS,
    )
    checks = _findings(given, public_key)
    known = row is not None and Certificate.model_validate(row["certificate"]) == given
    checks.append(("the certificate stands in your chain as it was given", known))
    checks.append(("it names the hash of the certificate before it", bool(row and row["linked"])))
    return VerificationView(
        valid=all(passed for _, passed in checks),
        checks=[CheckView(check=name, passed=passed) for name, passed in checks],
    )


def _findings(given: Certificate, public_key: str) -> list[tuple[str, bool]]:
    try:
        return findings(given, public_key)
    except (binascii.Error, ValueError):
        return [("its public key, hash and signature are well formed", False)]


def certificate_cursor(certificate: Any) -> UUID:
    """Certificates are listed by number: the number in the form of a cursor."""
    return UUID(int=certificate.body.certificate_number)


TRACED = (
    Traced(
        "life of the wallet",
        """
        select tenant_id, invoice_id, coalesce(destroyed_at, destroying_at, drained_at, created_at)
                   as at, state as title, null::uuid as cause, 'wal:' || id as subject,
               jsonb_build_object('expires_at', expires_at, 'watch_until', watch_until,
                                  'legal_hold', legal_hold) as details
        from ephemeral_wallet
        """,
    ),
    Traced(
        "certificate",
        """
        select tenant_id, invoice_id, destroyed_at as at, 'number ' || number as title,
               null::uuid as cause, 'wal:' || wallet_id as subject,
               jsonb_build_object('hash', hash) as details
        from destruction_log
        """,
    ),
)
"""What operators see of an invoice when they trace it."""
