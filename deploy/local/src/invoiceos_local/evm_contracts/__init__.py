"""Contracts of deposit addresses on an EVM chain, in Vyper, and what became of them."""
