"""Posting templates: which accounts a business event touches. Versioned, pure, zero-sum per asset.

A template that changes gets the next version; entries keep the version they were made with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from money import Rounding, divide
from reserve_ledger.domain.chart import (
    MERCHANT_AVAILABLE,
    PAYER_UNAPPLIED,
    PLATFORM_FEE,
    SUSPENSE_IN,
    SUSPENSE_OUT,
    TREASURY,
)

PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Template:
    """Name and version of a posting template; its text is `invoice_paid.v1`."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}.v{self.version}"


INVOICE_PAID: Final = Template("invoice_paid", 1)
INVOICE_OVERPAID: Final = Template("invoice_overpaid", 1)
PAYMENT_UNAPPLIED: Final = Template("payment_unapplied", 1)
PAYMENT_CONFLICTED: Final = Template("payment_conflicted", 1)
SUSPENSE_RELEASED: Final = Template("suspense_released", 1)
PAYMENT_REVERTED: Final = Template("payment_reverted", 1)
VOIDED_PAYMENT_REVERTED: Final = Template("voided_payment_reverted", 1)
INVOICE_VOIDED_RECLASS: Final = Template("invoice_voided_reclass", 1)


@dataclass(frozen=True, slots=True)
class Leg:
    """One posting to be: minor units of an asset, positive for a debit, negative for a credit."""

    account: str
    asset: str
    amount_minor: int


Legs = tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """How a payment divides, in minor units of the asset that was paid."""

    asset: str
    amount_minor: int
    """What came."""
    applied_minor: int
    """What counts towards the invoice; the rest is the payer's."""
    fee_minor: int
    """Platform fee, part of what is applied."""

    @property
    def excess_minor(self) -> int:
        """What is kept as the payer's credit."""
        return self.amount_minor - self.applied_minor


def fee_on(applied_minor: int, fee_ppm: int) -> int:
    """Platform fee in minor units, rounded half to even."""
    return divide(applied_minor * fee_ppm, PPM, Rounding.HALF_EVEN)


def payment(split: Split) -> tuple[Template, Legs]:
    """A final payment to a Tempo virtual address, all of it in one transaction."""
    legs = _legs(
        (TREASURY, split.asset, split.amount_minor),
        (MERCHANT_AVAILABLE, split.asset, split.fee_minor - split.applied_minor),
        (PLATFORM_FEE, split.asset, -split.fee_minor),
        (PAYER_UNAPPLIED, split.asset, -split.excess_minor),
    )
    if not split.applied_minor:
        return PAYMENT_UNAPPLIED, legs
    return (INVOICE_OVERPAID if split.excess_minor else INVOICE_PAID), legs


def suspense(asset: str, amount_minor: int) -> Legs:
    """What came is not what was asked for: held apart until someone decides."""
    return _legs((SUSPENSE_IN, asset, amount_minor), (SUSPENSE_OUT, asset, -amount_minor))


def suspense_released(asset: str, amount_minor: int) -> Legs:
    """What was held apart no longer is: it was claimed, or the chain took it back."""
    return reversal(suspense(asset, amount_minor))


def voided_reclass(splits: Iterable[Split]) -> Legs:
    """The invoice is void: what had been applied to it is the payer's again, the fee included."""
    applied: dict[str, int] = {}
    fees: dict[str, int] = {}
    for split in splits:
        applied[split.asset] = applied.get(split.asset, 0) + split.applied_minor
        fees[split.asset] = fees.get(split.asset, 0) + split.fee_minor
    rows: list[tuple[str, str, int]] = []
    for asset in sorted(applied):
        rows += [
            (MERCHANT_AVAILABLE, asset, applied[asset] - fees[asset]),
            (PLATFORM_FEE, asset, fees[asset]),
            (PAYER_UNAPPLIED, asset, -applied[asset]),
        ]
    return _legs(*rows)


def voided_payment_reverted(split: Split) -> Legs:
    """The chain took back a payment that a void had already made the payer's own."""
    return _legs(
        (PAYER_UNAPPLIED, split.asset, split.amount_minor),
        (TREASURY, split.asset, -split.amount_minor),
    )


def reversal(legs: Sequence[Leg]) -> Legs:
    """The same legs on the other side."""
    return tuple(Leg(leg.account, leg.asset, -leg.amount_minor) for leg in legs)


def _legs(*rows: tuple[str, str, int]) -> Legs:
    return tuple(Leg(*row) for row in rows if row[2])
