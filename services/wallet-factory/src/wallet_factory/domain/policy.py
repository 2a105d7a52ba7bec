"""What a tenant wants of its wallets: a document people can read, checked before it is kept.

It chooses among what the platform offers and never widens it: a rail that the platform does not
serve, or that cannot take the money, is passed over as ever.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from invoiceos_contracts.base import MAX_MINOR, WalletMode
from money import MoneyError, asset
from wallet_factory.domain.rails import Rail

RailName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$", strict=True)]
Minor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]


class WalletPolicy(BaseModel):
    """How a tenant's wallets are chosen where it differs from the platform's way."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rails: Annotated[tuple[RailName, ...], Field(max_length=20)] = ()
    """Rails in the order in which they are tried; what is not named is not used. Empty: the
    platform's order, Tempo first."""
    mode: WalletMode | None = None
    """The mode where neither the invoice nor a rule of the platform says which; null leaves that
    to the selector."""
    small_amounts: Annotated[dict[str, Minor], Field(max_length=50)] = {}
    """Up to these minor units of an asset an invoice to an unknown payer is small: its wallet is
    ephemeral, whatever the model says. An asset that is not named is as the platform has it."""

    @field_validator("rails")
    @classmethod
    def _names_each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            message = "name each rail once"
            raise ValueError(message)
        return value

    @field_validator("small_amounts")
    @classmethod
    def _of_assets(cls, value: dict[str, int]) -> dict[str, int]:
        for code in value:
            try:
                asset(code)
            except MoneyError as error:
                message = f"{code[:40]!r} is no asset"
                raise ValueError(message) from error
        return value


PLATFORM_WAY = WalletPolicy()


def ordered(rails: Sequence[Rail], policy: WalletPolicy) -> Sequence[Rail]:
    """The rails a tenant's wallets can be on, in the order in which they are tried."""
    if not policy.rails:
        return rails
    by_name = {rail.name: rail for rail in rails}
    return tuple(by_name[name] for name in policy.rails if name in by_name)
