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


class RefundTooLarge(Refusal):
    """More than is left of the payment."""

    code = "refund_too_large"
    kind = Kind.CONFLICT
    title = "The payment has not so much left to give back"


class PaymentNotRefundable(Refusal):
    """The payment is not one that money can be given back of now."""

    code = "payment_not_refundable"
    kind = Kind.CONFLICT
    title = "A payment in this state cannot be refunded"


class DisbursementNotFound(Refusal):
    """No such refund, payout or batch, or another tenant's."""

    code = "disbursement_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no refund, payout or batch with this id"


class ReferenceTaken(Refusal):
    """The tenant used the reference for another payout or batch."""

    code = "reference_taken"
    kind = Kind.CONFLICT
    title = "This reference is that of another payout or batch"


class InvalidPayoutLine(Refusal):
    """A line cannot be paid out as it is."""

    code = "invalid_payout_line"
    kind = Kind.INVALID
    title = "A payout cannot be made as it is asked for"


class OwnRequest(Refusal):
    """Whoever asks for money to leave cannot agree to it."""

    code = "own_request"
    kind = Kind.FORBIDDEN
    title = "Somebody else has to agree to your request"


class NotAnApprover(Refusal):
    """The policy names who may agree, and the caller is not among them."""

    code = "not_an_approver"
    kind = Kind.FORBIDDEN
    title = "The policy does not name you among those who may agree"


class NotAwaitingApproval(Refusal):
    """There is nothing to agree to any more."""

    code = "not_awaiting_approval"
    kind = Kind.CONFLICT
    title = "This does not wait for approval"


class LinesDiffer(Refusal):
    """The batch is not the one that was looked at."""

    code = "lines_differ"
    kind = Kind.CONFLICT
    title = "The batch has other lines than those you agree to"


class PolicyNotFound(Refusal):
    """The tenant has no such version."""

    code = "approval_policy_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such version of the approval policy"


class InvoiceUnknown(Refusal):
    """No such invoice is known here, or it was never issued."""

    code = "invoice_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no issued invoice with this id"


class InvoiceNotPayable(Refusal):
    """It asks for nothing more."""

    code = "invoice_not_payable"
    kind = Kind.CONFLICT
    title = "This invoice cannot be paid now"


class AmountAboveDue(Refusal):
    """More than the invoice asks for."""

    code = "amount_above_due"
    kind = Kind.INVALID
    title = "The amount is more than the invoice asks for"


class PaymentUnderWay(Refusal):
    """Something else may still take the money."""

    code = "payment_under_way"
    kind = Kind.CONFLICT
    title = "Another payment of this invoice is under way"


class PaymentLinkNotFound(Refusal):
    """No such link, or one that is no longer good."""

    code = "payment_link_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such payment link"


class MethodNotOffered(Refusal):
    """Nobody here takes that for this invoice."""

    code = "method_not_offered"
    kind = Kind.CONFLICT
    title = "This invoice cannot be paid in this way"


class TooManyTries(Refusal):
    """A link is for paying, not for making work."""

    code = "too_many_tries"
    kind = Kind.TOO_MANY
    title = "Paying this invoice was begun too often today"


class IntentNotFound(Refusal):
    """No such intent, or another tenant's."""

    code = "payment_intent_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no payment intent with this id"


class AttemptNotFound(Refusal):
    """No such attempt, or another tenant's."""

    code = "payment_attempt_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no attempt with this id"


class AmountAboveAuthorized(Refusal):
    """More than the payer agreed to."""

    code = "amount_above_authorized"
    kind = Kind.INVALID
    title = "The amount is more than was authorised"


class NotForPeople(Refusal):
    """It is not unknown, or not for long enough."""

    code = "outcome_not_for_people"
    kind = Kind.CONFLICT
    title = "Only an outcome that is unknown for a day is decided by a person"


class WebhookNotAuthentic(Refusal):
    """The signature is wrong, missing or too old."""

    code = "webhook_not_authentic"
    kind = Kind.UNAUTHENTICATED
    title = "The signature of this webhook is not the provider's"


class ProviderUnreachable(Refusal):
    """What its webhooks are verified with cannot be had now."""

    code = "provider_unreachable"
    kind = Kind.UNAVAILABLE
    title = "The signature cannot be verified now; send the webhook again"


class PaymentRulesNotFound(Refusal):
    """The tenant has no such version."""

    code = "payment_rules_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such version of the payment rules"


class MethodNotAllowed(Refusal):
    """The tenant's rules leave the method out for such a payment."""

    code = "method_not_allowed"
    kind = Kind.CONFLICT
    title = "The payment rules do not allow this method for such a payment"


class PartialNotAllowed(Refusal):
    """The tenant's rules want such an invoice paid whole."""

    code = "partial_not_allowed"
    kind = Kind.CONFLICT
    title = "The payment rules do not allow to pay a part"
