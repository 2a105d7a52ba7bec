"""What the Circle adapter reads from its environment."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from chassis.settings import load
from money import ASSETS, MAX_MINOR
from provider_orchestrator.providers.configuration import (
    AssetCodes,
    ProviderSettings,
    Words,
    safe_url,
)

WORDS = ("USD", "EUR")
"""Circle's names of currencies: of what is on the books there, and of the tokens on chains."""


class CircleSettings(ProviderSettings):
    """Settings of Circle; without an API key there is no Circle."""

    circle_api_key: SecretStr = SecretStr("")
    circle_url: str = "https://api.circle.com"
    circle_timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    circle_wallet_id: str = ""
    """Our wallet there, from which transfers are paid; without it nothing is paid out."""
    circle_chain: Annotated[str, Field(pattern=r"[A-Z]{2,10}")] = "BASE"
    """The chain on which payers pay, in Circle's word."""
    circle_topics: Words = ()
    """Topics of SNS (ARN) that Circle sends our notifications by; messages of others are refused,
    for anybody can have Amazon sign a message of a topic of theirs."""
    circle_certificate_hosts: Words = (
        "sns.us-east-1.amazonaws.com",
        "sns.us-west-2.amazonaws.com",
    )
    """The only hosts of which certificates are fetched and subscriptions confirmed."""
    circle_assets: AssetCodes = ("USD", "EUR")
    """What we call the money there: `USDC` in the place of `USD` where invoices are in tokens."""
    circle_countries: Words = ()
    """Countries of payers, ISO 3166; from everywhere where not given."""
    circle_fee_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Part of the amount that it keeps, for routing; the ledger books what it really kept."""
    circle_fee_fixed_minor: Annotated[int, Field(ge=0)] = 0
    circle_amount_max_minor: Annotated[int, Field(ge=1, le=MAX_MINOR)] = 100_000_000_000

    @field_validator("circle_assets")
    @classmethod
    def _are_clear(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        words = [ASSETS[code].currency for code in value]
        if len({*words}) < len(words) or not {*words} <= {*WORDS}:
            message = f"one asset for each of {', '.join(WORDS)} at most"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _url_is_safe(self) -> Self:
        safe_url(self.circle_url, in_production=self.in_production)
        return self

    @property
    def configured(self) -> bool:
        """Whether there is a Circle."""
        return bool(self.circle_api_key.get_secret_value())

    @property
    def url(self) -> str:
        """Where its API begins."""
        return safe_url(self.circle_url, in_production=self.in_production)


def settings() -> CircleSettings:
    """The settings of this process."""
    found: CircleSettings = load(CircleSettings)
    return found
