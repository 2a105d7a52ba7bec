"""Conditions this service answers with."""

from messaging.errors import Kind, Refusal


class WalletNotFound(Refusal):
    """There is no such ephemeral wallet, or it is another tenant's: which is not told."""

    code = "wallet_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no ephemeral wallet with this id"


class CertificateNotFound(Refusal):
    """The wallet is not destroyed, unknown, or another tenant's."""

    code = "certificate_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no certificate for this wallet"


class IllegalTransition(Refusal):
    """The state table does not have this step; nothing was changed."""

    code = "illegal_wallet_transition"
    kind = Kind.CONFLICT
    title = "The wallet is not in a state that allows this"


class ExtensionNotLater(Refusal):
    """The new end is not after the present one and after now."""

    code = "extension_not_later"
    kind = Kind.INVALID
    title = "The new end must lie after the present end, and in the future"


class ExtensionTooLong(Refusal):
    """The new end is further away than the platform allows."""

    code = "extension_too_long"
    kind = Kind.INVALID
    title = "The new end is further away than allowed"


class VersionMismatch(Refusal):
    """The wallet changed since the caller read it."""

    code = "version_mismatch"
    kind = Kind.PRECONDITION
    title = "The wallet has changed; read it again"


class BulkJobNotFound(Refusal):
    """There is no such bulk order, or it is another tenant's: which is not told."""

    code = "bulk_job_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no bulk order with this id"


class BulkQuotaExceeded(Refusal):
    """The tenant has too many rows under way."""

    code = "bulk_quota_exceeded"
    kind = Kind.TOO_MANY
    title = "Too many rows of your bulk orders are still under way; wait for them, or cancel some"


class TooManyStreams(Refusal):
    """The process follows as many orders as it can."""

    code = "too_many_streams"
    kind = Kind.UNAVAILABLE
    title = "Too many streams are open; ask for the order's progress instead, or try again"
