"""What can be read: payments, and how the providers are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from invoiceos_contracts import Amount
from invoiceos_contracts.base import Health
from invoiceos_contracts.ids import InvoiceId, PaymentId, WalletId
from invoiceos_contracts.payment_v1 import OnChain
from messaging import Tx
from provider_orchestrator.domain.health import SAMPLES_EFFECTIVE_MAX
from provider_orchestrator.errors import PaymentNotFound


class PaymentView(BaseModel):
    """Money that came for an invoice."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: PaymentId
    invoice_id: InvoiceId
    wallet_id: WalletId
    provider: str
    rail: str
    state: str
    """One of seen, succeeded, conflicted, reverted; more may come."""
    cause: str | None
    """Why it does not pay the invoice; null where it does."""
    amount: Amount
    invoice_due: Amount
    """What the invoice asked for when its wallet was made."""
    chain: OnChain
    payer: str | None
    memo_matches: bool | None
    provider_reference: str
    seen_at: datetime
    """Time of the block the payment stands in."""
    final_at: datetime | None
    updated_at: datetime


class ProviderHealthView(BaseModel):
    """How a provider is."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    provider: str
    rail: str
    state: Health
    score_ppm: int
    """Smoothed share of good answers, parts per million."""
    n_eff: int
    """How many observations the score really rests on."""
    p50_ms: float | None
    """Median time to answer of the last 100 observations."""
    p95_ms: float | None
    observed_at: datetime | None
    open_until: datetime | None
    head_block: int | None
    """Newest block of the chain when it was last read."""
    cursor_lag: int | None
    """Blocks that are known and not yet read."""
    unmatched_transfers: int
    """Transfers to addresses that no wallet has been named for."""
    unmatched_transfers_old: int
    """Those of them that have waited too long."""


class ProvidersHealthView(BaseModel):
    """Every provider there is."""

    items: Sequence[ProviderHealthView]


_PAYMENT = """
    position, id, invoice_id, wallet_id, provider, rail, state, cause, amount_minor, asset,
    due_minor, due_asset, chain_id, block_number, block_hash, block_at, transaction_hash,
    log_index, payer, memo_matches, reference, final_at, updated_at
"""


async def payment_of(tx: Tx, tenant_id: UUID, payment_id: UUID) -> PaymentView:
    """One payment; raises `PaymentNotFound`."""
    row = await tx.fetchrow(
        f"select {_PAYMENT} from payment where tenant_id = $1 and id = $2",
        tenant_id,
        payment_id,
    )
    if row is None:
        raise PaymentNotFound
    return _payment(row)


async def payments_of(
    tx: Tx,
    tenant_id: UUID,
    *,
    invoice_id: UUID | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[tuple[UUID, PaymentView]]:
    """The newest payments and their places in the list."""
    rows = await tx.fetch(
        f"""
        select {_PAYMENT} from payment
        where tenant_id = $1 and ($2::uuid is null or invoice_id = $2)
          and ($3::text is null or state = $3) and ($4::uuid is null or position < $4)
        order by position desc limit $5
        """,
        tenant_id,
        invoice_id,
        state,
        after,
        limit,
    )
    return [(row["position"], _payment(row)) for row in rows]


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _payment(row: Any) -> PaymentView:
    return PaymentView(
        id=row["id"],
        invoice_id=row["invoice_id"],
        wallet_id=row["wallet_id"],
        provider=row["provider"],
        rail=row["rail"],
        state=row["state"],
        cause=row["cause"],
        amount=Amount(amount_minor=row["amount_minor"], asset=row["asset"]),
        invoice_due=Amount(amount_minor=row["due_minor"], asset=row["due_asset"]),
        chain=OnChain(
            chain_id=row["chain_id"],
            block_number=row["block_number"],
            block_hash=_hex(row["block_hash"]),
            transaction_hash=_hex(row["transaction_hash"]),
            log_index=row["log_index"],
        ),
        payer=_hex(row["payer"]) if row["payer"] else None,
        memo_matches=row["memo_matches"],
        provider_reference=row["reference"],
        seen_at=row["block_at"],
        final_at=row["final_at"],
        updated_at=row["updated_at"],
    )


async def providers_health(
    tx: Tx, chain_id: int, unmatched_after_s: int
) -> list[ProviderHealthView]:
    """How each provider is; at present Tempo is the only one, on one chain."""
    rows = await tx.fetch(_HEALTH, chain_id, unmatched_after_s)
    return [
        ProviderHealthView(
            provider=row["provider"],
            rail=row["rail"],
            state=row["state"],
            score_ppm=row["score_ppm"],
            n_eff=min(row["samples"], SAMPLES_EFFECTIVE_MAX),
            p50_ms=_ms(row["p50_us"]),
            p95_ms=_ms(row["p95_us"]),
            observed_at=row["observed_at"],
            open_until=row["open_until"],
            head_block=row["head_number"],
            cursor_lag=row["lag"],
            unmatched_transfers=row["unmatched"],
            unmatched_transfers_old=row["unmatched_old"],
        )
        for row in rows
    ]


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000


_HEALTH = """
select h.provider, h.rail, h.state, h.score_ppm, h.samples, h.observed_at, h.open_until,
       c.head_number, c.head_number - c.number as lag, l.p50_us, l.p95_us, u.unmatched,
       u.unmatched_old
from provider_health as h
left join chain_cursor as c on c.chain_id = $1
cross join lateral (
    select percentile_disc(0.5) within group (order by latency_us) as p50_us,
           percentile_disc(0.95) within group (order by latency_us) as p95_us
    from (select latency_us from provider_health_observation as o
          where o.provider_id = h.provider_id order by id desc limit 100) as last
) as l
cross join (
    select count(*) as unmatched,
           count(*) filter (where found_at < now() - make_interval(secs => $2)) as unmatched_old
    from unmatched_transfer where chain_id = $1
) as u
order by h.provider
"""
