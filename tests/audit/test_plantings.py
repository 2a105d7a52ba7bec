"""Whoever breaks an invariant is found, and by its name."""

import psycopg
import pytest
from plantings import PLANTINGS, Planting

import audit
from audit import INVARIANTS

OUTSIDE_TRANSACTIONS = {"access.history_was_never_changed"}
"""Planted by a test of their own below."""


@pytest.mark.parametrize("planting", PLANTINGS, ids=lambda planting: planting.invariant)
def test_a_planted_breach_is_found(planted: Planting, planting, world) -> None:
    for statement in planting.rendered(world):
        planted.execute(statement)
    records = planting.records(world.topic_records)
    report = audit.run(planted, records, grace_s=0)
    assert report.names == {planting.invariant} | planting.also, report.as_table()


def test_each_invariant_has_a_planting() -> None:
    planted = {planting.invariant for planting in PLANTINGS} | OUTSIDE_TRANSACTIONS
    assert planted == {invariant.name for invariant in INVARIANTS}


def test_a_row_of_what_is_only_added_to_that_was_changed_is_counted(place, world) -> None:
    table = "reserve_ledger.reserve_statement"
    with psycopg.connect(place.admin_url, autocommit=True) as connection:
        connection.execute(f"update {table} set covered = covered where sequence = 1")
    try:
        report = audit.run(place.admin_url, world.topic_records, grace_s=0)
        assert report.names == OUTSIDE_TRANSACTIONS, report.as_table()
    finally:
        with psycopg.connect(place.admin_url, autocommit=True) as connection:
            connection.execute(f"select pg_stat_reset_single_table_counters('{table}'::regclass)")
