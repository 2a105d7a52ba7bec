"""A PostgreSQL server for the simulator: all schemas in one database, time as the simulator says."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from chassis.databases import migrate, password_of, prepare
from invoiceos_local.environment import installed_services, schema_of
from invoiceos_local.postgres import Postgres
from invoiceos_local.processes import Processes, sweep
from messaging.connection import learn

TEMPLATE = "simulator_template"
SEED = "simulator"
_SETTINGS = {
    "autovacuum": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "'256MB'",
    "deadlock_timeout": "'1h'",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
# The server's clock is a file: visible to every session at once, and set without asking the server.
_CLOCK = """
create schema simclock;
grant usage on schema simclock to public;
grant execute on function pg_catalog.pg_read_file(text) to public;
create function simclock.clock_timestamp() returns timestamptz language sql volatile as
    $$ select timestamptz '2026-01-01 00:00:00+00'
              + pg_read_file('simclock/' || current_database())::bigint * interval '1 microsecond' $$;
create function simclock.now() returns timestamptz language plpgsql volatile as $$
declare
    begun text := current_setting('simclock.begun', true);
begin
    if begun is null or begun = '' then
        begun := simclock.clock_timestamp()::text;
        perform set_config('simclock.begun', begun, true);
    end if;
    return begun::timestamptz;
end $$;
do $$
declare
    found record;
begin
    for found in
        select format('%I.%I', n.nspname, c.relname) as target, a.attname as name,
               pg_get_expr(d.adbin, d.adrelid) as value
        from pg_attrdef d join pg_class c on c.oid = d.adrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where a.attgenerated = '' and pg_get_expr(d.adbin, d.adrelid) in ('now()', 'clock_timestamp()')
    loop
        execute format('alter table %s alter column %I set default simclock.%s',
                       found.target, found.name, found.value);
    end loop;
end $$;
"""


class Clock:
    """What a database's statements are told when they ask for the time."""

    def __init__(self, connection: psycopg.Connection) -> None:
        row = connection.execute("select current_setting('data_directory'), current_database()")
        folder, name = row.fetchone() or ("", "")
        place = Path(folder) / "simclock"
        place.mkdir(mode=0o755, exist_ok=True)
        self._file = os.open(place / name, os.O_WRONLY | os.O_CREAT, 0o644)
        self.set(0)

    def set(self, micros: int) -> None:
        """Microseconds since the beginning."""
        os.pwrite(self._file, b"%020d" % micros, 0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def on(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def url_of(admin_url: str, database: str, role: str) -> str:
    """Address for a role of a service."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        parts._replace(
            netloc=f"{role}:{password_of(SEED, role)}@{place}",
            path=f"/{database}",
            query="sslmode=disable",
        )
    )


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server of its own on this machine; its superuser's address."""
    sweep(folder)
    processes = Processes(folder)
    postgres = Postgres(processes, fsync=False)
    postgres.start()
    try:
        _configure(postgres.url, folder / "postgres" / "data" / "pg_hba.conf")
        yield postgres.url
    finally:
        postgres.stop()
        processes.stop_all(grace_seconds=2)


def _configure(url: str, rules: Path) -> None:
    # Thousands of logins a minute on a server that only this machine reaches.
    rules.write_text("host all all 127.0.0.1/32 trust\n")
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in _SETTINGS.items():
            connection.execute(f"alter system set {name} = {value}")
        connection.execute("select pg_reload_conf()")


def make_template(url: str) -> None:
    """A database with every service's schema as its migrations make it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {TEMPLATE} with (force)")
        connection.execute(f"create database {TEMPLATE}")
    place = on(url, TEMPLATE)
    schemas = [schema_of(name) for name in installed_services()]
    prepare(place, schemas, SEED)
    for schema in schemas:
        migrate(url_of(url, TEMPLATE, f"{schema}_owner"), schema)
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(_CLOCK)
    asyncio.run(learn(url))


class Databases:
    """The database of one worker, as new before each seed."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self._server = psycopg.connect(url, autocommit=True)

    def renew(self) -> None:
        """An empty database; the same bytes each time, so that plans and row orders agree."""
        named = sql.Identifier(self.name)
        self._server.execute(sql.SQL("drop database if exists {} with (force)").format(named))
        self._server.execute(
            sql.SQL("create database {} template {} strategy = file_copy").format(
                named, sql.Identifier(TEMPLATE)
            )
        )

    @property
    def admin_url(self) -> str:
        """Superuser on this database."""
        return on(self.url, self.name)

    def close(self) -> None:
        self._server.close()
