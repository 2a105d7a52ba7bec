"""The public edge: who may pass, to which service, and with what."""
