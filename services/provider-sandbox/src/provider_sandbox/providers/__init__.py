"""One folder a provider, found by listing; each holds one `provider`."""
