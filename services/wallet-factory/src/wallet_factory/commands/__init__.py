"""Use cases of the factory, one a file."""
