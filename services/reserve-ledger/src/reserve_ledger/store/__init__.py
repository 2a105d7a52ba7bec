"""The ledger's SQL: arrays in, rows out, one statement a table and batch."""
