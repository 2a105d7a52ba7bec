"""Conditions the ledger can refuse with."""

from messaging.errors import Kind, Refusal


class TransactionNotFound(Refusal):
    """No such transaction, or another tenant's."""

    code = "transaction_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such transaction"


class AccountNotFound(Refusal):
    """The chart of accounts has no such code."""

    code = "account_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such account in the chart"


class PeriodReversed(Refusal):
    """A period that ends before it begins."""

    code = "period_reversed"
    kind = Kind.INVALID
    title = "`to` must not lie before `from`"


class ReserveNotStated(Refusal):
    """Nothing was ever posted, so nothing was stated."""

    code = "reserve_not_stated"
    kind = Kind.NOT_FOUND
    title = "The first reserve statement comes with the first posting"
