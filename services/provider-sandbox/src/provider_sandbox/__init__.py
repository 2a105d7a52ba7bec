"""Plays the payment providers that the platform talks to."""
