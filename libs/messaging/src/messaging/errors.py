"""Conditions a command can refuse with, and how the backbone tells failures apart."""

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What a refusal means to the one who asked; the edge maps it to a status once."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    PRECONDITION = "precondition"


class Refusal(Exception):
    """A named condition: the request is answered with its code, and nothing was changed.

    A service names each of its conditions by a subclass in its `errors.py`.
    """

    code: ClassVar[str] = "refused"
    kind: ClassVar[Kind] = Kind.REFUSED
    title: ClassVar[str] = "The request was refused"

    def __init__(self, detail: str = "", **data: object) -> None:
        """Say what is wrong and what to do instead; `data` travels in the problem document."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.data = data


class RetryLater(Exception):
    """Raised by a handler whose precondition will come true by itself: the batch is tried again."""


class Overloaded(Refusal):
    """The queue of waiting writes is full."""

    code = "overloaded"
    kind = Kind.UNAVAILABLE
    title = "Too many writes are waiting; try again shortly"


class OutcomeUnknown(Refusal):
    """The connection was lost at the commit, and what became of it could not be learnt."""

    code = "outcome_unknown"
    kind = Kind.UNAVAILABLE
    title = "It is not known whether this was done; repeat it with the same Idempotency-Key"


class IdempotencyKeyReused(Refusal):
    """The key came with another body before."""

    code = "idempotency_key_reused"
    kind = Kind.INVALID
    title = "This Idempotency-Key was used with another request; send a new key"


class RequestInProgress(Refusal):
    """The same key is being worked on at this moment."""

    code = "request_in_progress"
    kind = Kind.CONFLICT
    title = "A request with this Idempotency-Key is still running; ask again shortly"
