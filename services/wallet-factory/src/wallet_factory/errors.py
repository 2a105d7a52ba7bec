"""Conditions this service answers with."""

from messaging.errors import Kind, Refusal


class WalletNotFound(Refusal):
    """There is no such wallet, or it is another tenant's: which of the two is not told."""

    code = "wallet_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no wallet with this id"


class RailNotOffered(Refusal):
    """A policy names a rail that this platform does not serve."""

    code = "rail_not_offered"
    kind = Kind.INVALID
    title = "The policy names a rail that is not offered"


class TagKeyChanged(Exception):
    """The key of a master's addresses is not the one they were begun with: do not start."""


class MasterUnknown(Exception):
    """The master has no row: the service was not prepared."""
