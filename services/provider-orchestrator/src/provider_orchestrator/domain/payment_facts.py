"""What every fact of a payment says of it, wherever the money was seen."""

from typing import Any, Protocol
from uuid import UUID

from invoiceos_contracts import Amount


class Paid(Protocol):
    """A payment, as far as its facts name it."""

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""

    @property
    def id(self) -> UUID:
        """The payment's own."""

    @property
    def invoice_id(self) -> UUID:
        """Of the invoice it is for."""

    @property
    def wallet_id(self) -> UUID:
        """Of that invoice's wallet."""

    @property
    def provider(self) -> str:
        """Who holds or saw the money."""

    @property
    def rail(self) -> str:
        """By which way it came."""

    @property
    def amount_minor(self) -> int:
        """Minor units of `asset`."""

    @property
    def asset(self) -> str:
        """Code of what was paid with."""


def about(payment: Paid) -> dict[str, Any]:
    """The fields all its facts have."""
    return {
        "tenant_id": payment.tenant_id,
        "payment_id": payment.id,
        "invoice_id": payment.invoice_id,
        "wallet_id": payment.wallet_id,
        "provider": payment.provider,
        "rail": payment.rail,
        "amount": Amount(amount_minor=payment.amount_minor, asset=payment.asset),
    }
