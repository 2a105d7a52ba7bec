"""What a caller can be refused."""

from messaging import Kind, Refusal


class PaymentNotFound(Refusal):
    """No such payment, or another tenant's."""

    code = "payment_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no payment with this id"


class RefundNotSupported(Refusal):
    """The payment came over a rail that cannot take money back."""

    code = "refund_not_supported"
    kind = Kind.CONFLICT
    title = "A payment over this rail cannot be refunded through the provider"


class ProviderNotConfigured(Refusal):
    """The provider whose webhook this is does not work for this platform."""

    code = "provider_not_configured"
    kind = Kind.NOT_FOUND
    title = "This provider is not configured"
