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


class ProviderUnknown(Refusal):
    """Nobody watches such a provider, rail and currency."""

    code = "provider_unknown"
    kind = Kind.NOT_FOUND
    title = "There is no such provider, rail and currency"


class ProviderNotOpen(Refusal):
    """There is nothing to reset."""

    code = "provider_not_open"
    kind = Kind.CONFLICT
    title = "The circuit of this provider is not open"


class OperatorsOnly(Refusal):
    """Providers serve every tenant; no tenant's key decides about them."""

    code = "operators_only"
    kind = Kind.FORBIDDEN
    title = "Only the platform's operator may do this"


class RulesNotFound(Refusal):
    """The tenant has no such version."""

    code = "routing_rules_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such version of the routing rules"


class DecisionNotFound(Refusal):
    """No such decision, or another tenant's."""

    code = "routing_decision_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no routing decision with this id"


class IllegalTransition(Refusal):
    """There is no way from the one state to the other."""

    code = "illegal_transition"
    kind = Kind.CONFLICT
    title = "This cannot become that"
