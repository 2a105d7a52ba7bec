"""What passes by itself, and what will be the same at the next try."""

import asyncpg
import pytest

from messaging import Refusal, RetryLater
from messaging.faults import is_transient

PASSING = [
    RetryLater(),
    ConnectionResetError(),
    TimeoutError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation is in progress"),
    asyncpg.AdminShutdownError(),
    asyncpg.CannotConnectNowError(),
    asyncpg.DeadlockDetectedError(),
    asyncpg.DiskFullError(),
    asyncpg.LockNotAvailableError(),
    asyncpg.SerializationError(),
    asyncpg.TooManyConnectionsError(),
]
LASTING = [
    ValueError(),
    KeyError(),
    Refusal(),
    asyncpg.DataError("an argument that cannot be encoded"),
    asyncpg.CheckViolationError(),
    asyncpg.UniqueViolationError(),
    asyncpg.UndefinedTableError(),
    asyncpg.InsufficientPrivilegeError(),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_a_fault_of_the_connection_or_of_a_busy_database_passes(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_is_wrong_with_the_work_itself_lasts(error: Exception) -> None:
    assert not is_transient(error)
