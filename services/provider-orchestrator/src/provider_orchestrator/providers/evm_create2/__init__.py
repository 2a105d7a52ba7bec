"""Deposit addresses on an EVM chain: a factory can put a wallet there and fetch the money."""
