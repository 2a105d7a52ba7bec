"""What the templates are filled in with for payments, and reversals, which no template has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from money import Rounding, divide
from reserve_ledger.domain.catalogue import NO_NAMES, Leg, Legs, Template, fill

PPM: Final = 1_000_000
SUSPENSE_RELEASED: Final = Template("suspense_released", 1)
PAYMENT_REVERTED: Final = Template("payment_reverted", 1)
SWEEP_REVERTED: Final = Template("deposit_flush_reverted", 1)
CLEARED_REVERTED: Final = Template("availability_reverted", 1)


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


TREASURY: Final = "treasury"
DEPOSIT: Final = "deposit"
CLEARING: Final = "clearing"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payment's money lies when it comes."""

    held_at: str = TREASURY
    provider: str = ""

    @property
    def names(self) -> dict[str, str]:
        """What addresses are filled in with."""
        return {"provider": self.provider} if self.held_at == CLEARING else {}


IN_TREASURY: Final = Place()


def payment(split: Split, place: Place = IN_TREASURY) -> tuple[Template, Legs]:
    """A final payment: all of it at once in the treasury, pending where it lies elsewhere."""
    amounts = {"applied": split.applied_minor, "excess": split.excess_minor}
    if place.held_at == CLEARING:
        return fill("provider_captured", split.asset, amounts, place.names)
    if place.held_at == DEPOSIT:
        return fill("deposit_received", split.asset, amounts)
    return _in_treasury(split)


def _in_treasury(split: Split) -> tuple[Template, Legs]:
    if not split.applied_minor:
        return fill("payment_unapplied", split.asset, {"excess": split.excess_minor})
    amounts = {"applied": split.applied_minor, "fee": split.fee_minor}
    if not split.excess_minor:
        return fill("invoice_paid", split.asset, amounts)
    return fill("invoice_overpaid", split.asset, amounts | {"excess": split.excess_minor})


def suspense(asset: str, amount_minor: int) -> tuple[Template, Legs]:
    """What came is not what was asked for: held apart until someone decides."""
    return fill("payment_conflicted", asset, {"amount": amount_minor})


def voided_payment_reverted(split: Split, place: Place) -> tuple[Template, Legs]:
    """A payment was taken back that a void had already made the payer's own."""
    name = {CLEARING: "voided_capture_reverted", DEPOSIT: "voided_deposit_reverted"}.get(
        place.held_at, "voided_payment_reverted"
    )
    return fill(name, split.asset, {"amount": split.amount_minor}, place.names)


def summed(
    name: str, shares: Iterable[tuple[str, Mapping[str, int]]], names: Mapping[str, str] = NO_NAMES
) -> tuple[Template, Legs]:
    """One template over the sums of several amounts, asset by asset."""
    sums: dict[str, dict[str, int]] = {}
    for asset, amounts in shares:
        of = sums.setdefault(asset, {})
        for variable, minor in amounts.items():
            of[variable] = of.get(variable, 0) + minor
    parts = [fill(name, asset, sums[asset], names) for asset in sorted(sums)]
    return parts[0][0], tuple(leg for _, legs in parts for leg in legs)


def reversal(legs: Sequence[Leg]) -> Legs:
    """The same legs on the other side."""
    return tuple(replace(leg, amount_minor=-leg.amount_minor) for leg in legs)
