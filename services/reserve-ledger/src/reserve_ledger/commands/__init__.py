"""One use case a file; each takes a list."""
