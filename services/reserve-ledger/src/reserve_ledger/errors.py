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


class OperatorsOnly(Refusal):
    """The reserve is the platform's; no tenant's key decides about it."""

    code = "operators_only"
    kind = Kind.FORBIDDEN
    title = "Only the platform's operators may do this"


class NothingToReconcile(Refusal):
    """Nothing was listed of such a source, or one is being reconciled already."""

    code = "nothing_to_reconcile"
    kind = Kind.CONFLICT
    title = "No such source has a statement, or its reconciliation is still open"


class ReconciliationNotFound(Refusal):
    """No such reconciliation."""

    code = "reconciliation_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such reconciliation"


class ReconciliationNotReady(Refusal):
    """It has steps to make, or is signed off."""

    code = "reconciliation_not_ready"
    kind = Kind.CONFLICT
    title = "This reconciliation does not wait for a sign-off"


class ReconciliationNotProved(Refusal):
    """Opening and movements are not the closing."""

    code = "reconciliation_not_proved"
    kind = Kind.CONFLICT
    title = "The roll-forward does not hold; what is off stands in its proof"


class MakerCannotApprove(Refusal):
    """Two people look at it: whoever made it is not the one who approves."""

    code = "maker_cannot_approve"
    kind = Kind.FORBIDDEN
    title = "Somebody else than its maker has to approve this"


class BreakNotFound(Refusal):
    """No such break."""

    code = "break_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such break"


class BreakNotInState(Refusal):
    """The break is closed, or nothing was proposed for it."""

    code = "break_not_in_state"
    kind = Kind.CONFLICT
    title = "This cannot be done with the break as it stands"


class StatementUnreadable(Refusal):
    """The file is not what its format says, or does not add up; `line` is where."""

    code = "statement_unreadable"
    kind = Kind.INVALID
    title = "The statement cannot be read"


class NotFrozen(Refusal):
    """Nothing stands still."""

    code = "not_frozen"
    kind = Kind.CONFLICT
    title = "Issuing and payouts are not frozen"


class ProofNotFound(Refusal):
    """No such proof of liabilities."""

    code = "proof_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such proof"


class PostingsUnbalanced(Refusal):
    """Debits and credits of an asset are not equal."""

    code = "postings_unbalanced"
    kind = Kind.INVALID
    title = "The postings must sum to zero for each asset"


class AddressUnknown(Refusal):
    """No account of the chart has such an address."""

    code = "address_unknown"
    kind = Kind.INVALID
    title = "No account of the chart has this address"


class AccountNotYours(Refusal):
    """The account is the platform's, or moves by payments alone."""

    code = "account_not_yours"
    kind = Kind.FORBIDDEN
    title = "Only merchant:available, escrow and payer:<name> can be posted to"


class InsufficientFunds(Refusal):
    """An account has not got so much available."""

    code = "insufficient_funds"
    kind = Kind.REFUSED
    title = "There is not so much available"


class ReferenceReused(Refusal):
    """The reference names something else already."""

    code = "reference_reused"
    kind = Kind.CONFLICT
    title = "This reference names another transaction or hold"


class TransactionNotReversible(Refusal):
    """A payment or payout led to it: it is undone by what happens to that."""

    code = "transaction_not_reversible"
    kind = Kind.REFUSED
    title = "Only what was posted by request can be reversed by request"


class TransactionReversed(Refusal):
    """It was reversed before."""

    code = "transaction_reversed"
    kind = Kind.CONFLICT
    title = "This transaction is reversed already"


class HoldNotFound(Refusal):
    """No such hold, or another tenant's."""

    code = "hold_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such hold"


class HoldEnded(Refusal):
    """It was captured, voided, or its time is over."""

    code = "hold_ended"
    kind = Kind.CONFLICT
    title = "This hold is captured, voided or expired"


class CaptureTooLarge(Refusal):
    """More than is held."""

    code = "capture_too_large"
    kind = Kind.REFUSED
    title = "Not so much is held"


class StatementNameReused(Refusal):
    """The bank's name of a statement came with other content before."""

    code = "statement_name_reused"
    kind = Kind.CONFLICT
    title = "A statement of this name is there already, and says something else"


class StatementOfAnotherAccount(Refusal):
    """A source is one account."""

    code = "statement_of_another_account"
    kind = Kind.CONFLICT
    title = "The statements of this source are those of another account"
