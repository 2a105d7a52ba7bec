"""Accounts, postings, reserve statements."""
