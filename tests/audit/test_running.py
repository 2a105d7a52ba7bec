"""One run: what it looks at, what it lets pass, and how it fails."""

import json
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import audit
from audit import INVARIANTS, CannotAudit

UNKNOWN_TIMER = (
    "insert into invoice.timer select 'no.such.kind', n::text, '{tenant}', now() + interval '1 day',"
    " '{{}}', 0 from generate_series(1, {count}) as n"
)
ISSUING = "update invoice.invoice set document = 'issuing', updated_at = now() where id = '{id}'"


def test_a_world_where_nothing_is_wrong_has_no_finding(place, world) -> None:
    report = audit.run(place.admin_url, world.topic_records, grace_s=0)
    assert report.names == set(), report.as_table()
    assert report.records == len(world.records) > 100
    assert len(report.looked_at) == len(INVARIANTS)


def test_without_records_the_topics_are_left_aside(place, world) -> None:
    report = audit.run(place.admin_url, grace_s=0)
    assert report.records is None
    assert {f.invariant.name for f in report.looked_at} == {
        i.name for i in INVARIANTS if not i.topics
    }


def test_an_empty_topic_is_not_a_topic_that_was_left_aside(place, world) -> None:
    assert audit.run(place.admin_url, [], grace_s=0).names == {"topics.nothing_lost"}


def test_what_is_young_may_still_be_on_its_way(planted, world) -> None:
    planted.execute(ISSUING.format(id=world.invoices["draft"]))
    assert audit.run(planted, grace_s=30).names == set()
    assert audit.run(planted, grace_s=0).names == {"invoices.issue_ends"}


def test_all_rows_are_counted_and_some_are_shown(planted, world) -> None:
    planted.execute(UNKNOWN_TIMER.format(tenant=world.tenant, count=45))
    (finding,) = audit.run(planted, grace_s=0).findings
    assert (finding.count, len(finding.rows)) == (45, 20)
    assert list(finding.rows[0]) == ["service", "kind", "ref", "due_at"]


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_connection_that_was_idle_is_idle_again(place, world, autocommit) -> None:
    with psycopg.connect(place.admin_url, autocommit=autocommit) as connection:
        for _ in range(2):
            assert not audit.run(connection, world.topic_records, grace_s=0).breached
            assert connection.info.transaction_status is TransactionStatus.IDLE


def test_a_snapshot_sees_nothing_that_comes_later(place, world, for_real) -> None:
    breach = UNKNOWN_TIMER.format(tenant=world.tenant, count=1)
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        session = audit.Session(connection)
        with (
            session.snapshot(),
            for_real(breach, "delete from invoice.timer where kind = 'no.such.kind'"),
        ):
            assert not session.judge(0, topics=False).breached


def test_inside_a_snapshot_nothing_can_be_written(place, world) -> None:
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        session = audit.Session(connection)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), session.snapshot():
            connection.execute("delete from invoice.timer")


def test_a_server_that_does_not_answer_is_no_good_news() -> None:
    with pytest.raises(CannotAudit):
        audit.run("postgresql://nobody@127.0.0.1:1/none")


def test_a_database_without_the_services_cannot_be_audited(infra) -> None:
    with pytest.raises(CannotAudit, match=r"^ledger\.entries_balanced: .*does not exist"):
        audit.run(infra.postgres_url)


def test_where_the_beginning_of_a_topic_is_gone_a_history_begins_later(place, world) -> None:
    sent = [r for r in world.topic_records if r.topic == "invoiceos.invoice.v1" and r.version > 1]
    others = [r for r in world.topic_records if r.topic != "invoiceos.invoice.v1"]
    assert audit.run(place.admin_url, [*others, *sent], grace_s=0).names == set()
    whole = audit.run(place.admin_url, [*others, *sent], grace_s=0, truncated=())
    assert whole.names == {"topics.nothing_lost"}


def test_what_is_gone_from_the_middle_of_a_truncated_topic_is_lost(place, world) -> None:
    topic = "invoiceos.invoice.v1"
    issued = [r for r in world.topic_records if r.type == "invoiceos.invoice.issued.v1"]
    left = [r for r in world.topic_records if r != issued[0]]
    report = audit.run(place.admin_url, left, grace_s=0, truncated=[topic])
    assert "topics.nothing_lost" in report.names


def test_a_record_read_after_the_snapshot_shows_only_that_nothing_was_lost(place, world) -> None:
    records = world.topic_records
    late = [r for r in records if r.type == "invoiceos.notification.sent.v1"]
    made_up = replace(late[0], key="ntf_unknown", event_id=uuid4(), offset=9_000)
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        session = audit.Session(connection)
        session.load(r for r in records if r not in late)
        with session.snapshot():
            session.load_late([*late, made_up])
            assert session.judge(0, topics=True).names == set()
        session.fold(session.judge(0, topics=True))
        assert "topics.nothing_made_up" in session.judge(0, topics=True).names


def test_a_report_says_what_is_wrong_what_must_hold_and_what_to_do(planted, world) -> None:
    planted.execute(UNKNOWN_TIMER.format(tenant=world.tenant, count=21))
    report = audit.run(planted, grace_s=0)
    table = report.as_table()
    assert "timers.have_handlers" in table
    assert "BREACH timers.have_handlers (I24): 21 found" in table
    assert "must hold: Each timer is of a kind that its service handles." in table
    assert "kind=no.such.kind" in table
    assert "... and 1 more" in table
    assert "docs/runbooks/audit-breach.md#timers" in table
    plain = json.loads(report.as_json())
    assert plain["breached"] is True
    (broken,) = [entry for entry in plain["invariants"] if not entry["holds"]]
    assert (broken["name"], broken["count"], broken["reference"]) == (
        "timers.have_handlers",
        21,
        "I24",
    )


def test_names_are_unique_and_each_has_its_sentence() -> None:
    assert len({i.name for i in INVARIANTS}) == len(INVARIANTS) > 100
    assert all(i.sentence.endswith(".") and len(i.sentence) > 20 for i in INVARIANTS)
