"""Providers, their health, payments, chain watching."""
