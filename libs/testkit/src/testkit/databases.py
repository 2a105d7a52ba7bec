"""A database of its own for each test that wants one, cloned from a migrated template."""

import hashlib
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from chassis.databases import migrate, migration_folders, password_of, prepare

SEED = "tests"


@dataclass(frozen=True, slots=True)
class ServiceDatabase:
    """Where a service's schema is, for each of its roles."""

    admin_url: str
    """Superuser, on this database: for looking at everything."""
    schema: str
    name: str

    def url(self, role: str) -> str:
        """Address for `owner`, `api` or `worker`."""
        parts = urlsplit(self.admin_url)
        login = f"{self.schema}_{role}"
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{login}:{password_of(SEED, login)}@{place}"))

    def drop(self) -> None:
        """Remove it, cutting whoever is still connected."""
        server = urlunsplit(urlsplit(self.admin_url)._replace(path="/postgres"))
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(self.name))
            )


def create_database(server_url: str, schema: str) -> ServiceDatabase:
    """A migrated database; the first of a schema becomes the template of the others."""
    template = f"template_{schema}_{_state_of(schema)}"
    name = f"{schema}_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(71, hashtext(%s))", [template])
        known = connection.execute("select from pg_database where datname = %s", [template])
        if known.fetchone() is None:
            _make_template(connection, server_url, schema, template)
        connection.execute(
            sql.SQL("create database {} template {} strategy = file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return ServiceDatabase(_on(server_url, name), schema, name)


def _state_of(schema: str) -> str:
    """Names the migrations as they are now: a server that outlives a change keeps both."""
    paths = [path for folder in migration_folders(schema) for path in sorted(folder.glob("*.sql"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:10]


def _make_template(
    connection: psycopg.Connection, server_url: str, schema: str, template: str
) -> None:
    building = f"{template}_{uuid.uuid4().hex[:6]}"
    connection.execute(sql.SQL("create database {}").format(sql.Identifier(building)))
    prepare(_on(server_url, building), [schema], SEED)
    migrate(ServiceDatabase(_on(server_url, building), schema, building).url("owner"), schema)
    connection.execute(
        sql.SQL("alter database {} rename to {}").format(
            sql.Identifier(building), sql.Identifier(template)
        )
    )


def _on(server_url: str, database: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{database}"))
