"""Database and broker fixtures, event builders, conformance suites, fault tools."""
