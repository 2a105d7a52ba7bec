"""One wallet per invoice: mode, rail, address."""
