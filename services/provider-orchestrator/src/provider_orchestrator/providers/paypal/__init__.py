"""PayPal: orders that the payer approves, captures, refunds, payouts, statement."""
