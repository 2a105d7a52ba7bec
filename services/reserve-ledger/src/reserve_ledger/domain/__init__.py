"""What a ledger is: accounts, templates, the fold over payments, the chain, the reserve. Pure."""
