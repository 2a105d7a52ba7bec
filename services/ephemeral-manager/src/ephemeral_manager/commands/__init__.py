"""Use cases of the manager, one a file; `lives.py` holds what they share."""
