"""Telling a passing fault from a lasting one, and waiting between tries."""

import asyncio
import random

import asyncpg

from messaging.errors import RetryLater

TRANSIENT: tuple[type[Exception], ...] = (
    RetryLater,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also of a session that was ended while it lay in the pool
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""Classes of faults that pass; `is_transient` says which of their kind do not."""
# asyncpg reports arguments it cannot encode as an InterfaceError that is also a ValueError.
_LASTING = (ValueError, TypeError)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed if it is simply done again."""
    return isinstance(error, TRANSIENT) and not isinstance(error, _LASTING)


def delay_s(failures: int, ceiling_s: float = 5.0) -> float:
    """Seconds to wait after this many failures in a row: exponential, with full jitter."""
    return random.uniform(0.05, min(ceiling_s, 0.1 * 2 ** min(failures, 10)))  # noqa: S311


async def pause(failures: int, ceiling_s: float = 5.0) -> None:
    """Wait before the next try."""
    await asyncio.sleep(delay_s(failures, ceiling_s))
