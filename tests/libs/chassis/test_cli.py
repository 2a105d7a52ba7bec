"""Operators list dead letters and let a key be handled again."""

import uuid

import psycopg
import pytest
from typer.testing import CliRunner

from chassis.cli import app


@pytest.fixture
def place(make_database, monkeypatch):
    made = make_database("gateway")
    monkeypatch.delenv("INVOICEOS_DATABASE_ADMIN_URL", raising=False)
    monkeypatch.delenv("INVOICEOS_AUDIT_DATABASE_URL", raising=False)
    monkeypatch.setenv("INVOICEOS_DATABASE_WORKER_URL", made.url("worker"))
    return made


def put(place, state, offset, key=b"k"):
    letter = uuid.uuid4()
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        connection.execute(
            """
            insert into gateway.dead_letter (id, tenant_id, consumer, topic, partition,
                record_offset, record_key, headers, payload, state, reason, error)
            values (%s, %s, 'gateway', 't', 0, %s, %s, '[]', 'x', %s, 'handler', 'broken')
            """,
            [letter, uuid.uuid4(), offset, key, state],
        )
    return str(letter)


def states(place):
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        rows = connection.execute(
            "select state from gateway.dead_letter order by record_offset"
        ).fetchall()
    return [row[0] for row in rows]


def run(*arguments):
    return CliRunner().invoke(app, ["dead-letters", *arguments])


def test_open_dead_letters_are_listed_with_their_cause(place):
    dead, resolved = put(place, "dead", 1), put(place, "resolved", 2)
    shown = run("list", "gateway")
    assert shown.exit_code == 0, shown.output
    assert dead in shown.output
    assert "handler: broken" in shown.output
    assert resolved not in shown.output


def test_a_replay_releases_the_whole_key_and_no_other(place):
    dead, _, other = put(place, "dead", 1), put(place, "parked", 2), put(place, "dead", 3, b"o")
    shown = run("replay", "gateway", dead, "--reason", "mended")
    assert "2 released" in shown.output
    assert states(place) == ["replaying", "replaying", "dead"]
    assert other


def test_a_replay_of_nothing_says_so(place):
    put(place, "resolved", 1)
    assert run("replay", "gateway", str(uuid.uuid4()), "--reason", "mended").exit_code == 1


def test_a_replay_needs_a_reason(place):
    assert run("replay", "gateway", put(place, "dead", 1)).exit_code == 2
    assert states(place) == ["dead"]


def test_an_unknown_service_is_answered_with_the_names_there_are(place):
    shown = run("list", "nonsense")
    assert shown.exit_code == 2
    assert "reserve-ledger" in shown.output
