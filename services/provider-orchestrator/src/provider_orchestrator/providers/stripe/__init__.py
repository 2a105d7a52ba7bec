"""Stripe: cards by its hosted page or a saved card; refunds, disputes, balance, statement."""
