"""What the templates are filled in with for payments, and reversals, which no template has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from money import Rounding, divide
from reserve_ledger.domain.catalogue import Leg, Legs, Template, fill

PPM: Final = 1_000_000
SUSPENSE_RELEASED: Final = Template("suspense_released", 1)
PAYMENT_REVERTED: Final = Template("payment_reverted", 1)


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
    if not split.applied_minor:
        return fill("payment_unapplied", split.asset, {"excess": split.excess_minor})
    amounts = {"applied": split.applied_minor, "fee": split.fee_minor}
    if not split.excess_minor:
        return fill("invoice_paid", split.asset, amounts)
    return fill("invoice_overpaid", split.asset, amounts | {"excess": split.excess_minor})


def suspense(asset: str, amount_minor: int) -> tuple[Template, Legs]:
    """What came is not what was asked for: held apart until someone decides."""
    return fill("payment_conflicted", asset, {"amount": amount_minor})


def voided_reclass(splits: Iterable[Split]) -> tuple[Template, Legs]:
    """The invoice is void: what had been applied to it is the payer's again, the fee included."""
    applied: dict[str, int] = {}
    fees: dict[str, int] = {}
    for split in splits:
        applied[split.asset] = applied.get(split.asset, 0) + split.applied_minor
        fees[split.asset] = fees.get(split.asset, 0) + split.fee_minor
    parts = [
        fill("invoice_voided_reclass", asset, {"applied": applied[asset], "fee": fees[asset]})
        for asset in sorted(applied)
    ]
    return parts[0][0], tuple(leg for _, legs in parts for leg in legs)


def voided_payment_reverted(split: Split) -> tuple[Template, Legs]:
    """The chain took back a payment that a void had already made the payer's own."""
    return fill("voided_payment_reverted", split.asset, {"amount": split.amount_minor})


def reversal(legs: Sequence[Leg]) -> Legs:
    """The same legs on the other side."""
    return tuple(replace(leg, amount_minor=-leg.amount_minor) for leg in legs)
