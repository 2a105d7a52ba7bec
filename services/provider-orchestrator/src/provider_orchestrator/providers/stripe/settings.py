"""What the Stripe adapter reads from its environment."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from chassis.settings import load
from money import MAX_MINOR
from provider_orchestrator.providers.configuration import (
    AssetCodes,
    ProviderSettings,
    Words,
    safe_url,
)


class StripeSettings(ProviderSettings):
    """Settings of Stripe; without a secret key there is no Stripe."""

    stripe_secret_key: SecretStr = SecretStr("")
    stripe_webhook_secrets: SecretStr = SecretStr("")
    """Signing secrets of our endpoints, with commas: two while one replaces the other."""
    stripe_url: str = "https://api.stripe.com"
    stripe_timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    stripe_currencies: AssetCodes = ("USD", "EUR", "GBP", "JPY")
    stripe_countries: Words = ()
    """Countries of payers, ISO 3166; from everywhere where not given."""
    stripe_fee_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 29_000
    """Part of the amount that it keeps, for routing; the ledger books what it really kept."""
    stripe_fee_fixed_minor: Annotated[int, Field(ge=0)] = 30
    stripe_pages: Words = ("https://*.stripe.com",)
    """Where its pages for payers are, as sources of a content security policy."""
    stripe_amount_max_minor: Annotated[int, Field(ge=1, le=MAX_MINOR)] = 99_999_999

    @field_validator("stripe_currencies")
    @classmethod
    def _are_clear(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Stripe lists UGX as one without decimals and wants it with two.
        if "UGX" in value:
            raise ValueError("Stripe's amounts in UGX mean two things")
        return value

    @model_validator(mode="after")
    def _url_is_safe(self) -> Self:
        safe_url(self.stripe_url, in_production=self.in_production)
        return self

    @property
    def configured(self) -> bool:
        """Whether there is a Stripe."""
        return bool(self.stripe_secret_key.get_secret_value())

    @property
    def url(self) -> str:
        """Where its API begins."""
        return safe_url(self.stripe_url, in_production=self.in_production)


def settings() -> StripeSettings:
    """The settings of this process."""
    found: StripeSettings = load(StripeSettings)
    return found
