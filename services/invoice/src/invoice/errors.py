"""Conditions with which this service refuses; each has a stable code."""

from messaging.errors import Kind, Refusal
from money import MoneyError


class InvoiceNotFound(Refusal):
    """No such invoice in this tenant."""

    code = "invoice_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no invoice with this id"


class CustomerNotFound(Refusal):
    """No such customer in this tenant."""

    code = "customer_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no customer with this id"


class PaymentLinkNotFound(Refusal):
    """The token names no invoice."""

    code = "payment_link_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such payment link"


class VersionMismatch(Refusal):
    """Someone else changed it in the meantime."""

    code = "version_mismatch"
    kind = Kind.PRECONDITION
    title = "The resource has changed; read it again and repeat the change"


class InvoiceNotDraft(Refusal):
    """Only a draft can be changed or deleted."""

    code = "invoice_not_draft"
    kind = Kind.CONFLICT
    title = "Only a draft can be changed or deleted; void an issued invoice instead"


class InvoiceNotIssuable(Refusal):
    """Only a draft, or an invoice whose issue failed, can be issued."""

    code = "invoice_not_issuable"
    kind = Kind.CONFLICT
    title = "Only a draft, or an invoice whose issue failed, can be issued"


class InvoiceNotOpen(Refusal):
    """Only an open invoice can be voided."""

    code = "invoice_not_open"
    kind = Kind.CONFLICT
    title = "Only an open invoice can be voided"


class InvoiceHasMoney(Refusal):
    """Money is booked or on its way."""

    code = "invoice_has_money"
    kind = Kind.CONFLICT
    title = "Money has been booked or is on its way; an invoice with money cannot be voided"


class PayableUntilPassed(Refusal):
    """There is no time left to pay."""

    code = "payable_until_passed"
    kind = Kind.CONFLICT
    title = "payable_until lies in the past; change it before issuing"


class IssuingFrozen(Refusal):
    """What is held does not cover what circulates: nothing new is asked for meanwhile."""

    code = "issuing_frozen"
    kind = Kind.CONFLICT
    title = "Nothing is issued until the platform's operators have looked at the reserve"


class TotalNotPositive(Refusal):
    """There is nothing to pay."""

    code = "total_not_positive"
    kind = Kind.INVALID
    title = "An invoice must ask for more than zero"


class ToleranceTooLarge(Refusal):
    """The tolerance would forgive everything."""

    code = "tolerance_too_large"
    kind = Kind.INVALID
    title = "The tolerance must be smaller than the total"


class Unacceptable(Refusal):
    """The calculator refused the amounts; the code is the calculator's own."""

    kind = Kind.INVALID
    title = "The amount is not acceptable"

    def __init__(self, error: MoneyError) -> None:
        """Take code and text of what the calculator raised."""
        super().__init__(str(error))
        self.__dict__["code"] = error.code
