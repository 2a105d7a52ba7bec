"""`invoiceos deadletters`, `outbox status` and `timers status`, as an operator types them."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from chassis.cli import app
from messaging import Timer, operations
from messaging.outbox import SHARDS
from messaging.relay import _lock_space
from testkit.service import a_tenant, record


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def sql(place, statement, *values):
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        found = connection.execute(statement, values)
        return found.fetchall() if found.description else []


def put(place, state, offset, key=b"k", error="broken"):
    letter = uuid.uuid4()
    sql(
        place,
        """
        insert into gateway.dead_letter (id, tenant_id, consumer, topic, partition,
            record_offset, record_key, headers, payload, state, reason, error)
        values (%s, %s, 'gateway', 't', 0, %s, %s, '[["ce_type", "a.b"]]', '{"a": {"b": 1}}', %s,
                'handler', %s)
        """,
        letter,
        a_tenant(),
        offset,
        key,
        state,
        error,
    )
    return str(letter)


def states(place):
    return [row[0] for row in sql(place, "select state from gateway.dead_letter order by 1")]


def test_a_letter_is_shown_as_a_person_reads_it_and_as_json(gateway):
    letter = put(gateway, "dead", 1)
    put(gateway, "parked", 2)
    shown = run("deadletters", "show", "gateway", letter)
    assert shown.exit_code == 0, shown.output
    for part in ('"b": 1', "handler: broken", "ce_type", "behind it by key: 1", "parked"):
        assert part in shown.output
    found = json.loads(run("deadletters", "show", "gateway", letter, "--json").output)
    assert (found["id"], found["behind_count"]) == (letter, 1)


def test_the_list_is_filtered_and_without_a_filter_needs_a_reason_to_replay(gateway):
    put(gateway, "dead", 1, b"one")
    put(gateway, "dead", 2, b"two")
    listed = json.loads(run("deadletters", "list", "gateway", "--key", "two", "--json").output)
    assert [letter["record_key"] for letter in listed] == ["two"]
    assert "1 open; more in gateway" in run("deadletters", "list", "gateway", "--limit", "1").output
    assert run("deadletters", "replay", "gateway", "--reason", "x").exit_code == 2
    assert (
        "1 released"
        in run("deadletters", "replay", "gateway", "--key", "two", "--reason", "mended").output
    )
    assert (
        "1 released"
        in run("deadletters", "replay", "gateway", "--all", "--reason", "mended").output
    )
    kept = sql(gateway, "select subject, actor <> '', count from gateway.operation order by id")
    assert kept == [("key=two", True, 1), ("everything open", True, 1)]


def test_a_discard_says_what_it_released_and_who_did_it(gateway):
    letter = put(gateway, "dead", 1)
    put(gateway, "parked", 2)
    assert run("deadletters", "discard", "gateway", letter).exit_code == 2
    done = run("deadletters", "discard", "gateway", letter, "--reason", "rubbish", "--by", "ada")
    assert "1 discarded, 1 released behind it" in done.output
    assert states(gateway) == ["discarded", "replaying"]
    kept = sql(gateway, "select actor, action, reason, subject, details from gateway.operation")
    assert kept[0][:4] == ("ada", "dead_letters.discard", "rubbish", letter)
    assert kept[0][4]["letters"][0]["id"] == letter
    assert run("deadletters", "discard", "gateway", letter, "--reason", "again").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "gateway", "--state", "nonsense"),
        ("list", "gateway", "--age", "long"),
        ("list", "gateway", "--tenant", "ten_x"),
        ("list", "nonsense"),
        ("discard", "gateway", str(uuid.uuid4()), "--reason", " "),
    ],
)
def test_what_makes_no_sense_is_refused_with_how_to_say_it(gateway, arguments):
    refused = run("deadletters", *arguments)
    assert refused.exit_code == 2, refused.output


def test_the_outbox_says_what_waits_since_when_why_and_who_sends_it(gateway):
    for seq, parked in ((1, True), (2, False), (3, False)):
        sql(
            gateway,
            """
            insert into gateway.outbox (tenant_id, topic, key, event_id, type, version, occurred_at,
                staged_at, correlation_id, payload, parked)
            values (%s, 't', 'k', %s, 'a.b', %s, now(), now() - interval '1 hour', 'k', 'x', %s)
            """,
            a_tenant(),
            uuid.uuid4(),
            seq,
            parked,
        )
    with psycopg.connect(gateway.admin_url, application_name="gateway.relay") as relay:
        space = _lock_space("gateway")
        for shard in range(SHARDS - 1):
            relay.execute("select pg_try_advisory_lock(%s, %s)", [space, shard])
        (status,) = json.loads(
            run("outbox", "status", "gateway", "--json", "--seconds", "0.1").output
        )
        shown = run("outbox", "status", "gateway", "--seconds", "0").output
    assert (status["waiting"], status["parked"]) == (2, 1)
    assert 3500 < status["oldest_age_s"] < 4000
    assert (status["parked_rows"][0]["behind"], status["parked_rows"][0]["bytes"]) == (2, 1)
    assert status["shards"]["owned"] == SHARDS - 1
    assert [owner["session"] for owner in status["shards"]["owners"]] == ["gateway.relay"]
    assert status["sent_per_s"] is not None
    assert "15/16" in shown
    assert "1 h 0 m" in shown


async def test_timers_say_what_is_due_next_and_why_one_fails(toy):
    now = datetime.now(UTC)
    async with toy.worker.transaction() as tx:
        tx.schedule(
            [
                Timer("chime", "poison", a_tenant(), now),
                Timer("chime", "later", a_tenant(), now + timedelta(hours=1)),
                Timer("forgotten", "old", a_tenant(), now - timedelta(minutes=1)),
            ]
        )
    await toy.timers.fire_due()
    async with toy.worker.transaction() as tx:
        chime, forgotten = await operations.timers_status(tx)
    assert (chime["kind"], chime["waiting"], chime["failing"]) == ("chime", 2, 1)
    (worst,) = chime["worst"]
    assert (worst["ref"], worst["attempts"], worst["error"]) == ("poison", 1, "Poison('poison')")
    assert (forgotten["due"], forgotten["overdue"], forgotten["failing"]) == (1, 1, 0)


def test_timers_are_shown_by_service_and_kind(gateway):
    sql(
        gateway,
        "insert into gateway.timer (kind, ref, tenant_id, due_at, attempts, error)"
        " values ('wake', 'r', %s, now() + interval '1 hour', 3, 'Poison()')",
        a_tenant(),
    )
    shown = run("timers", "status", "gateway")
    assert shown.exit_code == 0, shown.output
    assert "failing: r failed 3 times" in shown.output
    assert "Poison()" in shown.output
    (kind,) = json.loads(run("timers", "status", "gateway", "--json").output)
    assert (kind["service"], kind["kind"], kind["waiting"]) == ("gateway", "wake", 1)


async def test_a_record_whose_bytes_are_no_text_is_shown_too(toy):
    await toy.receives(record("t", b"\xff", b"\xfe\x00", ()))
    async with toy.worker.transaction() as tx:
        (letter,) = await operations.find(tx, operations.LetterFilter())
        assert await operations.show(tx, letter["id"]) is not None
