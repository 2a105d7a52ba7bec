"""The auditor's role: sees every tenant's rows, changes none; whatever the order of migrations."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import audit
from audit.services import SCHEMAS
from chassis.databases import AUDITOR, migration_folders, prepare
from testkit.databases import SEED, ServiceDatabase


def test_the_auditor_sees_what_the_superuser_sees(place, auditor_url, world) -> None:
    with psycopg.connect(place.admin_url) as all_seeing, psycopg.connect(auditor_url) as auditor:
        tables = all_seeing.execute(
            "select format('%%I.%%I', schemaname, tablename) from pg_tables"
            " where schemaname = any(%s)",
            [list(SCHEMAS)],
        ).fetchall()
        assert len(tables) > 80
        for (table,) in tables:
            count = f"select count(*) from {table}"
            assert auditor.execute(count).fetchone() == all_seeing.execute(count).fetchone(), table


def test_an_audit_as_the_auditor_finds_nothing_wrong(auditor_url, world) -> None:
    report = audit.run(auditor_url, world.topic_records, grace_s=0)
    assert report.names == set(), report.as_table()


@pytest.mark.parametrize(
    "statement",
    [
        "update invoice.invoice set reason = 'x'",
        "delete from invoice.timer",
        "truncate reserve_ledger.posting",
        "insert into invoice.inbox (event_id, consumer) values (gen_random_uuid(), 'x')",
        "create table invoice.mine (id int)",
        "alter table invoice.invoice disable row level security",
        "set role invoice_owner",
    ],
)
def test_the_auditor_changes_nothing(auditor_url, statement) -> None:
    with (
        psycopg.connect(auditor_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("seen", "unseen"),
    [
        ("tenant_id, wallet_id from wallet_factory.wallet_secret", "memo_salt"),
        ("route, status_code from invoice.idempotency", "body"),
    ],
)
def test_the_auditor_cannot_read_what_is_secret(auditor_url, world, seen, unseen) -> None:
    table = seen.rpartition(" ")[2]
    with psycopg.connect(auditor_url) as connection:
        connection.execute(f"select {seen}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select {unseen} from {table}")


def test_a_table_of_a_later_migration_is_seen_too(place, auditor_url) -> None:
    name = f"later_{uuid4().hex[:8]}"
    owner = ServiceDatabase(place.admin_url, "invoice", place.name).url("owner")
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("set search_path = invoice")
        connection.execute(f"create table {name} (tenant_id uuid)")
        connection.execute(f"call tenant_table('{name}')")
        connection.execute(f"create table {name}_plain (id int)")
    try:
        with psycopg.connect(place.admin_url, autocommit=True) as connection:
            connection.execute(f"insert into invoice.{name} values (gen_random_uuid())")
        with psycopg.connect(auditor_url) as connection:
            assert connection.execute(f"select count(*) from invoice.{name}").fetchone() == (1,)
            assert connection.execute(f"select * from invoice.{name}_plain").fetchall() == []
    finally:
        with psycopg.connect(place.admin_url, autocommit=True) as connection:
            connection.execute(f"drop table invoice.{name}, invoice.{name}_plain")


@pytest.fixture
def empty(infra):
    """A database with nothing in it."""
    name = f"audit_{uuid4().hex[:10]}"
    with psycopg.connect(infra.postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = ServiceDatabase(f"{infra.postgres_url.rpartition('/')[0]}/{name}", "gateway", name)
    yield made
    made.drop()


def test_a_schema_that_was_there_before_the_auditor_is_opened_to_it(empty) -> None:
    """Migrations of an existing service come before this one, of a new service after it."""
    prepare(empty.admin_url, ["gateway"], SEED)
    backbone = Path(str(files("messaging") / "migrations"))
    own = migration_folders("gateway")[1]
    old = [backbone / "0000_pre_messaging.sql", *sorted(own.glob("*.sql"))]
    with psycopg.connect(empty.url("owner"), autocommit=True) as connection:
        connection.execute("set search_path = gateway")
        for path in [*old, backbone / "0001_pre_auditor.sql"]:
            connection.execute(path.read_text())
    with psycopg.connect(empty.admin_url) as connection:
        missing = connection.execute(
            "select c.relname from pg_class c where c.relnamespace = 'gateway'::regnamespace"
            " and c.relkind = 'r' and (not has_any_column_privilege(%s, c.oid, 'select')"
            " or (c.relrowsecurity and not exists (select from pg_policy p"
            " where p.polrelid = c.oid and p.polname = 'tenant_auditor')))",
            [AUDITOR],
        ).fetchall()
        assert missing == []


def test_without_the_role_the_migration_says_what_to_do_first(place, world) -> None:
    path = Path(str(files("messaging") / "migrations" / "0001_pre_auditor.sql"))
    text = path.read_text().replace(AUDITOR, "no_such_auditor")
    with psycopg.connect(place.admin_url) as connection:
        with pytest.raises(psycopg.errors.RaiseException) as raised:
            connection.execute(text)
        assert "invoiceos database prepare" in raised.value.diag.message_hint


def test_databases_of_one_server_may_be_prepared_at_once(infra, empty) -> None:
    """They share the server's roles, and no lock: advisory locks are of one database."""
    with psycopg.connect(infra.postgres_url, autocommit=True) as connection:
        names = [f"audit_{uuid4().hex[:10]}" for _ in range(3)]
        for name in names:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        urls = [f"{infra.postgres_url.rpartition('/')[0]}/{name}" for name in names]
        try:
            with ThreadPoolExecutor() as pool:
                jobs = [pool.submit(prepare, url, ["gateway"], SEED) for url in urls * 2]
                assert [job.result() for job in jobs] == [None] * 6
        finally:
            for name in names:
                ServiceDatabase(infra.postgres_url, "gateway", name).drop()
