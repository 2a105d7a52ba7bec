"""From money seen on a chain to the life of a payment."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from invoiceos_contracts import Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.payment_v1 import (
    OnChain,
    PaymentConflicted,
    PaymentEvent,
    PaymentReverted,
    PaymentSeen,
    PaymentSucceeded,
)
from money import ASSETS
from provider_orchestrator.domain.payment_facts import about

PROVIDER = RAIL = "tempo"
CREATE2 = "evm-create2"
"""The provider of deposit addresses on EVM chains; each chain is a rail of it."""
UNKNOWN_ASSET = "UNKNOWN"
State = Literal["seen", "succeeded", "conflicted", "reverted"]
Cause = Literal["wrong_asset", "blocked", "out_of_range"]
_CODE = re.compile(r"[A-Z][A-Z0-9]{2,11}")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that came to an address of ours, in one block of one chain."""

    chain_id: int
    block_number: int
    block_hash: bytes
    block_at: datetime
    transaction_hash: bytes
    log_index: int
    ordinal: int
    """Counts the transfers to this address within the transaction, from 0."""
    address: bytes
    token: bytes
    asset: str
    listed: bool
    """Whether the token is one we take; only then does `asset` mean what it says."""
    units: int
    payer: bytes | None
    memo: bytes | None
    blocked: bool
    """It lies in the guard, not with the master."""

    @property
    def reference(self) -> str:
        """Names the transfer wherever a reorganisation puts its transaction.

        The log's index counts within the block and moves with it; the ordinal does not.
        """
        return f"{_hex(self.transaction_hash)}:{_hex(self.address)}:{self.ordinal}"

    @property
    def payment_id(self) -> UUID:
        """The same for the same transfer in every block it ever stands in."""
        return uuid5(NAMESPACE_URL, f"https://invoiceos.dev/chain/{self.chain_id}/{self.reference}")


@dataclass(frozen=True, slots=True)
class Watched:
    """An address, whose it is, and what is expected there."""

    tenant_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    chain_id: int
    address: bytes
    memo: bytes | None
    accepted_assets: tuple[str, ...]
    due_minor: int
    due_asset: str
    provider: str = PROVIDER
    rail: str = RAIL
    salt: bytes | None = None
    """What money is fetched from the address with; None where it is not kept there."""


@dataclass(frozen=True, slots=True)
class Finality:
    """From when on a block cannot change: `number` is the last one that cannot."""

    confirmations: int
    number: int
    at: datetime
    """Time of the block that made block `number` final."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A transfer as a payment of an invoice, and where it stands now."""

    tenant_id: UUID
    id: UUID
    wallet_id: UUID
    invoice_id: UUID
    state: State
    cause: Cause | None
    """Why it is not what was asked for; None when it is."""
    amount_minor: int
    asset: str
    due_minor: int
    due_asset: str
    expected: tuple[str, ...]
    chain_id: int
    block_number: int
    block_hash: bytes
    block_at: datetime
    transaction_hash: bytes
    log_index: int
    payer: bytes | None
    memo_matches: bool | None
    reference: str
    final_at: datetime | None
    provider: str = PROVIDER
    rail: str = RAIL


Step = tuple[Payment, list[PaymentEvent]]
"""A payment after a step, and the facts that say so."""


def raw_of(text: str, length: int) -> bytes | None:
    """An address or a memo as bytes; None for what is not hexadecimal of this many bytes."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        return None
    return raw if len(raw) == length else None


def asset_code(symbol: str | None, taken: Collection[str] = frozenset(ASSETS)) -> str:
    """A code for a token that is not ours, from what it calls itself.

    Anyone can name a token USDC: a name that means real money to us is never believed.
    """
    letters = re.sub(r"[^A-Z0-9]", "", (symbol or "").upper())[:12]
    return letters if _CODE.fullmatch(letters) and letters not in taken else UNKNOWN_ASSET


def cause_of(transfer: Transfer, watched: Watched) -> Cause | None:
    """Why a transfer cannot pay the invoice; None when it can."""
    if transfer.blocked:
        return "blocked"
    if not transfer.listed or transfer.asset not in watched.accepted_assets:
        return "wrong_asset"
    return "out_of_range" if transfer.units > MAX_MINOR else None


def appear(transfer: Transfer, watched: Watched, known: Payment | None, finality: Finality) -> Step:
    """A transfer is in a block: for the first time, or again after it was taken back.

    One whose payment stands already changes nothing.
    """
    if known is not None and known.state != "reverted":
        return known, []
    memo = None if transfer.memo is None or watched.memo is None else transfer.memo == watched.memo
    payment = Payment(
        tenant_id=watched.tenant_id,
        id=transfer.payment_id,
        wallet_id=watched.wallet_id,
        invoice_id=watched.invoice_id,
        state="seen",
        cause=cause_of(transfer, watched),
        amount_minor=min(transfer.units, MAX_MINOR),
        asset=transfer.asset,
        due_minor=watched.due_minor,
        due_asset=watched.due_asset,
        expected=watched.accepted_assets,
        chain_id=transfer.chain_id,
        block_number=transfer.block_number,
        block_hash=transfer.block_hash,
        block_at=transfer.block_at,
        transaction_hash=transfer.transaction_hash,
        log_index=transfer.log_index,
        payer=transfer.payer,
        memo_matches=memo,
        reference=transfer.reference,
        final_at=None,
        provider=watched.provider,
        rail=watched.rail,
    )
    # What cannot pay is not announced as on its way: the invoice would wait for it.
    seen = [] if payment.cause else [_seen(payment, finality.confirmations)]
    final, more = finalise(payment, finality)
    return final, seen + more


def finalise(payment: Payment, finality: Finality) -> Step:
    """The payment counts, once its block is final."""
    if payment.state != "seen" or payment.block_number > finality.number:
        return payment, []
    at = finality.at if finality.confirmations else payment.block_at
    if payment.cause is not None:
        return replace(payment, state="conflicted", final_at=at), [_conflicted(payment)]
    return replace(payment, state="succeeded", final_at=at), [_succeeded(payment, at)]


def revert(payment: Payment, block_hash: bytes) -> Step:
    """The chain dropped a block: what stood in it is taken back, and may come again.

    Nothing is said of a payment that nobody was told about.
    """
    if payment.state == "reverted" or payment.block_hash != block_hash:
        return payment, []
    gone = replace(payment, state="reverted", final_at=None)
    if payment.state == "seen" and payment.cause is not None:
        return gone, []
    return gone, [
        PaymentReverted.model_validate(
            {
                **about(payment),
                "cause": "chain_reorganised",
                "was_final": payment.final_at is not None,
            }
        )
    ]


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _place(payment: Payment) -> dict[str, object]:
    chain = OnChain(
        chain_id=payment.chain_id,
        block_number=payment.block_number,
        block_hash=_hex(payment.block_hash),
        transaction_hash=_hex(payment.transaction_hash),
        log_index=payment.log_index,
    )
    return {"chain": chain, "payer": _hex(payment.payer) if payment.payer else None}


def _seen(payment: Payment, confirmations: int) -> PaymentSeen:
    return PaymentSeen.model_validate(
        {**about(payment), **_place(payment), "confirmations_needed": confirmations}
    )


def _succeeded(payment: Payment, at: datetime) -> PaymentSucceeded:
    return PaymentSucceeded.model_validate(
        {
            **about(payment),
            **_place(payment),
            "provider_reference": payment.reference,
            "fee": None,
            "final_at": at,
            "invoice_due": Amount(amount_minor=payment.due_minor, asset=payment.due_asset),
            "memo_matches": payment.memo_matches,
            "held_at": "deposit" if payment.provider == CREATE2 else None,
        }
    )


def _conflicted(payment: Payment) -> PaymentConflicted:
    return PaymentConflicted.model_validate(
        {
            **about(payment),
            **_place(payment),
            "cause": payment.cause,
            "expected": payment.expected,
            "provider_reference": payment.reference,
        }
    )
