"""The ledger's templates by which a payment comes into the books, as a list of SQL."""

from typing import Final

BOOKED: Final = (
    "('invoice_paid', 'invoice_overpaid', 'payment_unapplied',"
    " 'deposit_received', 'provider_captured')"
)
"""On the treasury, at a deposit address, at a provider: each counts for its invoice once."""
