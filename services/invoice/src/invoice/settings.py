"""What this service reads from its environment, and the keys made of it."""

import base64
import hashlib
import hmac
from functools import cache

from pydantic import SecretStr

from chassis.sealing import Sealer
from chassis.settings import Settings, load


class InvoiceSettings(Settings):
    """Settings of the invoice service."""

    public_url: str = "http://127.0.0.1:8080"
    """Where payers reach the platform; payment links begin with it."""
    personal_data_key: SecretStr
    """Wraps the data keys that seal personal data: 32 bytes, base64. Links are derived from it."""


def settings() -> InvoiceSettings:
    """The settings of this process."""
    found: InvoiceSettings = load(InvoiceSettings)
    return found


@cache
def sealer() -> Sealer:
    """Seals personal data under the platform's key."""
    return Sealer(settings().personal_data_key.get_secret_value())


@cache
def link_key() -> bytes:
    """Key from which the secrets of payment links are derived; never the data key itself."""
    root = base64.b64decode(settings().personal_data_key.get_secret_value(), validate=True)
    return hmac.new(root, b"invoiceos/payment-link/v1", hashlib.sha256).digest()


def link_of(token: str) -> str:
    """Address of the page on which a payer pays."""
    return f"{settings().public_url.rstrip('/')}/pay/{token}"
