"""Roles, schemas and migrations: each service owns its schema, three roles use it."""

import hashlib
import hmac
import importlib.util
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yoyo
from psycopg import sql

LOCK_SPACE = 0x1A705
ROLES = ("owner", "api", "worker")
AUDITOR = "invoiceos_auditor"
"""Reads every schema and changes none; one for the whole server, as roles are."""
ROLE_TRIES = 20
_AT_ONCE = (
    psycopg.errors.DuplicateObject,
    psycopg.errors.UniqueViolation,
    psycopg.errors.InternalError_,  # tuple concurrently updated
)


def password_of(seed: str, role: str) -> str:
    """Password of a role, derived so that no list of passwords has to be kept."""
    return hmac.new(seed.encode(), role.encode(), hashlib.sha256).hexdigest()


def role_url(admin_url: str, seed: str, role: str) -> str:
    """Address of a role on the same server and database."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password_of(seed, role)}@{place}"))


def prepare(admin_url: str, schemas: list[str], password_seed: str) -> None:
    """Create each schema, its three roles and the auditor; safe to repeat, and to run at once
    elsewhere.

    Roles may log in and nothing else: none is superuser, none bypasses row-level security.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s, 0)", [LOCK_SPACE])
        connection.execute("revoke create on schema public from public")
        _ensure_role(connection, AUDITOR, password_seed)
        for schema in schemas:
            for role in ROLES:
                _ensure_role(connection, f"{schema}_{role}", password_seed)
            _ensure_schema(connection, schema)


def _ensure_role(connection: psycopg.Connection, role: str, seed: str) -> None:
    """Create or adjust a role; again when another database's run has just done the same.

    Roles belong to the server, the lock that `prepare` holds to one database of it.
    """
    for tries_left in reversed(range(ROLE_TRIES)):
        exists = connection.execute("select from pg_roles where rolname = %s", [role]).fetchone()
        action = sql.SQL("alter" if exists is not None else "create")
        try:
            connection.execute(
                sql.SQL(
                    "{} role {} login nosuperuser nobypassrls nocreatedb nocreaterole password {}"
                ).format(action, sql.Identifier(role), sql.Literal(password_of(seed, role)))
            )
            return
        except _AT_ONCE:
            if not tries_left:
                raise


def _ensure_schema(connection: psycopg.Connection, schema: str) -> None:
    names = {role: sql.Identifier(f"{schema}_{role}") for role in ROLES}
    connection.execute(sql.SQL("grant {} to current_user").format(names["owner"]))
    connection.execute(
        sql.SQL("create schema if not exists {} authorization {}").format(
            sql.Identifier(schema), names["owner"]
        )
    )
    connection.execute(
        sql.SQL("grant usage on schema {} to {}, {}, {}").format(
            sql.Identifier(schema), names["api"], names["worker"], sql.Identifier(AUDITOR)
        )
    )


def migration_folders(schema: str) -> list[Path]:
    """Folders of migrations of a service: the backbone's, then its own."""
    backbone = Path(str(files("messaging") / "migrations"))
    found = importlib.util.find_spec(schema)
    if found is None or found.origin is None:
        message = f"no service is installed under the name {schema}"
        raise LookupError(message)
    package = Path(found.origin).parent
    candidates = [package / "migrations", package.parent.parent / "migrations"]
    return [backbone, next(folder for folder in candidates if folder.is_dir())]


def migrate(owner_url: str, schema: str) -> list[str]:
    """Apply what is missing, in order; the names applied.

    Runs of several processes follow one another by an advisory lock, which dies with its session;
    yoyo's own lock row, which a killed run leaves behind, is then certainly stale and is broken.
    """
    applied: list[str] = []
    with psycopg.connect(owner_url, autocommit=True) as guard:
        guard.execute("select pg_advisory_lock(%s, hashtext(%s))", [LOCK_SPACE, schema])
        backend = yoyo.get_backend(_for_yoyo(owner_url, schema))
        try:
            backend.execute("set lock_timeout = '4s'")
            backend.break_lock()
            for folder in migration_folders(schema):
                pending = backend.to_apply(yoyo.read_migrations(str(folder)))
                backend.apply_migrations(pending)
                applied += [migration.id for migration in pending]
        finally:
            backend.connection.close()
    return applied


def _for_yoyo(url: str, schema: str) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, f"schema={schema}"]))
    return urlunsplit(("postgresql+psycopg", parts.netloc, parts.path, query, ""))
