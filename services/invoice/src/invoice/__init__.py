"""Customers, invoices, settlement."""
