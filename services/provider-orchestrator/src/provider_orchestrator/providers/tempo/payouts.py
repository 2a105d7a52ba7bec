"""Transfers from the treasury, signed before they are sent and void soon after; pure.

Each has an expiring nonce: it counts once, and in no block from `valid_before` on. So whoever finds
no receipt at a later final block knows that it never happened and never can (ADR 0024).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from eth_utils.crypto import keccak
from pytempo import TempoTransaction
from pytempo.contracts import TIP20

from provider_orchestrator.domain.adapters import Kind, Order
from provider_orchestrator.domain.transfers import raw_of
from provider_orchestrator.providers.chain.mapping import Log, quantity

VALID_FOR = timedelta(seconds=25)
"""The protocol allows thirty at most."""
EXPIRING_KEY = 2**256 - 1
GAS_LIMIT = 1_000_000
"""A receiver's first token of a kind costs a quarter of this; what is not used is not paid."""
FEE_MANAGER = bytes.fromhex("feec000000000000000000000000000000000000")
KINDS = frozenset({Kind.REFUND, Kind.PAYOUT})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed transaction, and from when on no block can hold it."""

    raw: bytes
    valid_before: datetime

    @property
    def transaction_hash(self) -> bytes:
        """Names it on the chain; known before it is sent."""
        return bytes(keccak(self.raw))

    def packed(self) -> bytes:
        """As it is stored."""
        return int(self.valid_before.timestamp()).to_bytes(8, "big") + self.raw

    @classmethod
    def unpacked(cls, stored: bytes) -> "Prepared":
        """As it was packed."""
        at = datetime.fromtimestamp(int.from_bytes(stored[:8], "big"), UTC)
        return cls(stored[8:], at)


@dataclass(frozen=True, slots=True)
class Treasury:
    """What is needed to sign; the key is never shown."""

    chain_id: int
    tokens: Mapping[str, bytes]
    """Address by asset code."""
    address: bytes
    max_fee_per_gas: int
    private_key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Treasury(0x{self.address.hex()})"


def hindrance(order: Order, tokens: Mapping[str, bytes]) -> str | None:
    """Why an order can never be carried out here; None when it can."""
    if order.kind not in KINDS:
        return "not_supported"
    if order.asset not in tokens:
        return "asset_not_supported"
    if not 0 < order.amount_minor < 2**128:
        return "amount_out_of_range"
    destination = raw_of(order.destination.get("address", ""), 20)
    if destination is None or destination == bytes(20) or destination in tokens.values():
        return "destination_invalid"
    return None


def memo_of(order: Order) -> bytes:
    """Names the order on the chain, and tells nobody what it is."""
    return order.id.bytes + sha256(order.key.bytes).digest()[:16]


def prepare(order: Order, treasury: Treasury, now: datetime) -> Prepared | None:
    """The transaction of an order; None where there can be none."""
    if hindrance(order, treasury.tokens):
        return None
    token = "0x" + treasury.tokens[order.asset].hex()
    valid_before = (now + VALID_FOR).replace(microsecond=0)
    transaction = TempoTransaction.create(
        chain_id=treasury.chain_id,
        gas_limit=GAS_LIMIT,
        max_fee_per_gas=treasury.max_fee_per_gas,
        nonce=0,
        nonce_key=EXPIRING_KEY,
        valid_before=int(valid_before.timestamp()),
        # Paid in the token that is sent, so that the fee is known in the same asset.
        fee_token=token,
        calls=(
            TIP20(token).transfer_with_memo(
                to=order.destination["address"], amount=order.amount_minor, memo=memo_of(order)
            ),
        ),
    )
    return Prepared(bytes(transaction.sign(treasury.private_key).encode()), valid_before)


def moved(order: Order, logs: Sequence[Log], sender: bytes) -> int:
    """What the order's transaction really moved to where it should go."""
    to = raw_of(order.destination.get("address", ""), 20)
    memo = memo_of(order)
    return sum(
        log.units
        for log in logs
        if log.memo == memo and log.sender == sender and log.receiver == to
    )


def fee_of(logs: Sequence[Log], token: bytes) -> int:
    """What the chain took, in the token it was paid in: receipts of the node do not say it."""
    return sum(
        log.units
        for log in logs
        if log.receiver == FEE_MANAGER and log.token == token and log.memo is None
    )


def succeeded(receipt: Mapping[str, Any]) -> bool:
    """Whether the transaction of a receipt took effect."""
    return quantity(receipt.get("status")) == 1
