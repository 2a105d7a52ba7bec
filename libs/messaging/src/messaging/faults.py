"""Telling a passing fault from a lasting one, and waiting between tries."""

import asyncio
import random

import asyncpg

from messaging.errors import RetryLater

_TRANSIENT = (
    RetryLater,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
# asyncpg reports arguments it cannot encode as an InterfaceError that is also a ValueError.
_LASTING = (ValueError, TypeError)


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed if it is simply done again."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _LASTING)


def delay_s(failures: int, ceiling_s: float = 5.0) -> float:
    """Seconds to wait after this many failures in a row: exponential, with full jitter."""
    return random.uniform(0.05, min(ceiling_s, 0.1 * 2 ** min(failures, 10)))  # noqa: S311


async def pause(failures: int, ceiling_s: float = 5.0) -> None:
    """Wait before the next try."""
    await asyncio.sleep(delay_s(failures, ceiling_s))
