"""What can be read of wallets, in the shape it is answered with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from invoiceos_contracts import Amount
from invoiceos_contracts.ids import InvoiceId, WalletId
from messaging import Tx
from messaging.operations import Traced
from wallet_factory.errors import WalletNotFound

_WALLET = """
    w.id as wallet_id, w.invoice_id, w.mode, w.rail, w.chain_id, w.address, w.memo,
    w.accepted_assets, w.due_minor, w.asset, w.ttl_s, w.watch_window_s, w.expires_at,
    w.created_at, w.secrets_destroyed_at, d.rail_rule, d.mode_rule, d.skipped
"""
_FROM = "wallet w join decision d on d.tenant_id = w.tenant_id and d.wallet_id = w.id"
_BY_ID = f"select {_WALLET} from {_FROM} where w.tenant_id = $1 and w.id = $2"
_LIST = f"""
select {_WALLET} from {_FROM}
where w.tenant_id = $1 and ($2::uuid is null or w.invoice_id = $2)
    and ($3::text is null or w.mode = $3) and ($4::text is null or w.rail = $4)
    and ($5::uuid is null or w.id < $5)
order by w.id desc limit $6
"""


class SkippedRail(BaseModel):
    """A rail that was passed over."""

    rail: str
    reason: str
    detail: str | None = None
    """Who was down, where that was the reason."""


class WalletView(BaseModel):
    """A wallet."""

    wallet_id: WalletId
    invoice_id: InvoiceId
    mode: str
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    accepted_assets: list[str]
    due: Amount
    ttl_s: int
    watch_window_s: int
    expires_at: datetime
    created_at: datetime
    secrets_destroyed_at: datetime | None
    """When the factory destroyed what linked the memo to the invoice."""
    mode_rule: str
    """The rule that chose the mode."""
    rail_rule: str
    """The rule that chose the rail."""
    skipped: list[SkippedRail]
    """Rails that stand before it in the order and were passed over."""


class DecisionView(BaseModel):
    """Why a wallet is as it is, or why there is none."""

    wallet_id: WalletId
    invoice_id: InvoiceId
    attempt: int
    mode: str
    mode_rule: str
    mode_reasons: list[str]
    rail: str | None
    rail_rule: str
    skipped: list[SkippedRail]
    failure: str | None
    inputs: dict[str, Any]
    policy_version: int | None
    """Of your policy that counted; null where there was none."""
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class WalletFilter:
    """Which wallets to list."""

    tenant_id: UUID
    invoice_id: UUID | None
    mode: str | None
    rail: str | None


async def wallets(
    tx: Tx, wanted: WalletFilter, before: UUID | None, limit: int
) -> Sequence[WalletView]:
    """Wallets newest first, one more than `limit` where there are more."""
    rows = await tx.fetch(
        _LIST, wanted.tenant_id, wanted.invoice_id, wanted.mode, wanted.rail, before, limit + 1
    )
    return [_view(row) for row in rows]


async def wallet(tx: Tx, tenant_id: UUID, wallet_id: UUID) -> WalletView:
    """One wallet; raises `WalletNotFound`."""
    row = await tx.fetchrow(_BY_ID, tenant_id, wallet_id)
    if row is None:
        raise WalletNotFound
    return _view(row)


async def decision(tx: Tx, tenant_id: UUID, wallet_id: UUID) -> DecisionView:
    """The decision behind a wallet or a failed attempt; raises `WalletNotFound`."""
    row = await tx.fetchrow(
        """
        select wallet_id, invoice_id, attempt, mode, mode_rule, mode_reasons, rail, rail_rule,
               skipped, failure, inputs, policy_version, decided_at
        from decision where tenant_id = $1 and wallet_id = $2
        """,
        tenant_id,
        wallet_id,
    )
    if row is None:
        raise WalletNotFound
    return DecisionView.model_validate(dict(row))


def _view(row: Any) -> WalletView:
    values = dict(row)
    due = Amount(amount_minor=values.pop("due_minor"), asset=values.pop("asset"))
    return WalletView(due=due, **values)


TRACED = (
    Traced(
        "wallet",
        """
        select tenant_id, invoice_id, created_at as at, mode || ' on ' || rail as title,
               null::uuid as cause, 'wal:' || id as subject,
               jsonb_build_object('address', address, 'expires_at', expires_at,
                                  'secrets_destroyed_at', secrets_destroyed_at) as details
        from wallet
        """,
    ),
)
"""What operators see of an invoice when they trace it."""
