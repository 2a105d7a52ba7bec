"""What the PayPal adapter reads from its environment."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from chassis.settings import load
from money import MAX_MINOR
from provider_orchestrator.providers.configuration import (
    AssetCodes,
    ProviderSettings,
    Words,
    safe_url,
)


class PayPalSettings(ProviderSettings):
    """Settings of PayPal; without client and secret there is no PayPal."""

    paypal_client_id: str = ""
    paypal_client_secret: SecretStr = SecretStr("")
    paypal_webhook_ids: Words = ()
    """Ids of our webhooks there: each signature is for one of them."""
    paypal_certificate_hosts: Words = ("api.paypal.com", "api-m.paypal.com")
    """The only hosts from which certificates of webhooks are fetched."""
    paypal_url: str = "https://api-m.paypal.com"
    paypal_timeout_s: Annotated[float, Field(gt=0, le=120)] = 30.0
    paypal_currencies: AssetCodes = ("USD", "EUR", "GBP", "JPY")
    paypal_countries: Words = ()
    """Countries of payers, ISO 3166; from everywhere where not given."""
    paypal_fee_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 34_900
    """Part of the amount that it keeps, for routing; the ledger books what it really kept."""
    paypal_fee_fixed_minor: Annotated[int, Field(ge=0)] = 49
    paypal_pages: Words = ("https://*.paypal.com",)
    """Where its pages for payers are, as sources of a content security policy."""
    paypal_amount_max_minor: Annotated[int, Field(ge=1, le=MAX_MINOR)] = 1_000_000_000

    @model_validator(mode="after")
    def _url_is_safe(self) -> Self:
        safe_url(self.paypal_url, in_production=self.in_production)
        return self

    @property
    def configured(self) -> bool:
        """Whether there is a PayPal."""
        return bool(self.paypal_client_id and self.paypal_client_secret.get_secret_value())

    @property
    def url(self) -> str:
        """Where its API begins."""
        return safe_url(self.paypal_url, in_production=self.in_production)


def settings() -> PayPalSettings:
    """The settings of this process."""
    found: PayPalSettings = load(PayPalSettings)
    return found
