"""The public edge: tenants, API keys, limits, forwarding."""
