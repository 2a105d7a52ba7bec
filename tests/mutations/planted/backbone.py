"""Faults of libs/messaging: effects doubled, facts lost, order broken, answers confused."""

from tests.mutations.mutation import Mutation

_MESSAGING = "libs/messaging/src/messaging"
_TESTS = "tests/libs/messaging"

CONSUMING = (
    Mutation(
        name="inbox-ignored",
        sentence="Events that were handled before count as new.",
        file=f"{_MESSAGING}/inbox.py",
        old='    return {row["event_id"] for row in rows}',
        new="    del rows\n    return set(event_ids)",
        suite=f"{_TESTS}/test_processing.py"
        "::test_an_event_has_its_effect_once_however_often_it_comes",
    ),
    Mutation(
        name="inbox-marked-outside-the-transaction",
        sentence="The mark commits by itself, before the effects.",
        file=f"{_MESSAGING}/processing.py",
        old="            new = await inbox.mark(tx, self.group, [event.id for event in events])",
        new="            async with self._database.transaction() as marking:\n"
        "                ids = [event.id for event in events]\n"
        "                new = await inbox.mark(marking, self.group, ids)",
        suite=f"{_TESTS}/test_processing.py::test_a_passing_fault_is_tried_again_until_it_passes",
    ),
    Mutation(
        name="offset-committed-before-the-effect",
        sentence="A batch counts as done before it is processed.",
        file=f"{_MESSAGING}/consumer.py",
        old="            await self._processor.process(records)\n",
        new="            for record in records:\n"
        "                place = TopicPartition(record.topic, record.partition)\n"
        "                self._done[place] = record.offset + 1\n"
        "            await self._processor.process(records)\n",
        suite=f"{_TESTS}/test_offsets.py"
        "::test_a_batch_that_could_not_be_committed_is_sought_back_and_not_passed_by",
    ),
    Mutation(
        name="no-seek-back",
        sentence="A batch that was given up is not read again.",
        file=f"{_MESSAGING}/consumer.py",
        old="        except GaveUp:\n            self._seek_back(records)",
        new="        except GaveUp:\n            pass",
        suite=f"{_TESTS}/test_offsets.py"
        "::test_a_batch_that_could_not_be_committed_is_sought_back_and_not_passed_by",
    ),
    Mutation(
        name="seek-back-to-the-end",
        sentence="A failed batch is sought back to its last record, not to its first.",
        file=f"{_MESSAGING}/consumer.py",
        old="            lowest[place] = min(lowest.get(place, record.offset), record.offset)",
        new="            lowest[place] = max(lowest.get(place, record.offset), record.offset)",
        suite=f"{_TESTS}/test_offsets.py"
        "::test_a_batch_that_could_not_be_committed_is_sought_back_and_not_passed_by",
    ),
    Mutation(
        name="new-group-skips-what-is-there",
        sentence="A new consumer group begins at the end of its topics.",
        file=f"{_MESSAGING}/consumer.py",
        old='            auto_offset_reset="earliest",',
        new='            auto_offset_reset="latest",',
        suite="tests/architecture/test_consumers_are_safe.py"
        "::test_no_service_runs_with_a_losing_default",
    ),
    Mutation(
        name="no-parking-by-key",
        sentence="Later events of a key whose earlier one is dead are handled all the same.",
        file=f"{_MESSAGING}/processing.py",
        old="                if attempt.is_blocked(item.record):",
        new="                if False:",
        suite=f"{_TESTS}/test_processing.py"
        "::test_later_events_of_a_dead_key_park_behind_it_in_the_same_and_in_later_polls",
    ),
    Mutation(
        name="bisection-swallows-the-culprit",
        sentence="An event that cannot be handled disappears without a dead letter.",
        file=f"{_MESSAGING}/processing.py",
        old='                attempt.put_aside(ready[0].record, "dead", "handler", '
        "repr(error)[:2000], tries)",
        new="                attempt.blocked.add((ready[0].record.topic, key_of(ready[0].record)))",
        suite=f"{_TESTS}/test_processing.py"
        "::test_a_poisonous_event_is_put_aside_and_its_neighbours_are_handled",
    ),
    Mutation(
        name="massacre-allowed",
        sentence="A broken handler puts every event of a batch aside.",
        file=f"{_MESSAGING}/processing.py",
        old="                self._refuse_a_massacre(attempt, len(fresh))\n",
        new="",
        suite=f"{_TESTS}/test_processing.py"
        "::test_a_handler_that_breaks_on_nearly_everything_puts_nothing_aside",
    ),
    Mutation(
        name="waves-forget-the-order-of-a-key",
        sentence="Events of a key are handled by handler, not in their order.",
        file=f"{_MESSAGING}/consuming.py",
        old="            wave += before is not handler\n",
        new="",
        suite=f"{_TESTS}/test_processing.py::test_the_order_of_a_key_holds_when_handlers_alternate",
    ),
    Mutation(
        name="dead-letter-not-published",
        sentence="Culprits are kept, and their topic of dead letters hears nothing.",
        file=f"{_MESSAGING}/dead_letters.py",
        old="    await _publish(tx, consumer, culprits)",
        new="    del culprits",
        suite=f"{_TESTS}/test_processing.py"
        "::test_a_dead_letter_is_published_with_its_cause_and_origin",
    ),
    Mutation(
        name="replay-backwards",
        sentence="Released letters of a key are handled newest first.",
        file=f"{_MESSAGING}/dead_letters.py",
        old="        order by topic, partition, record_offset limit $2 for update",
        new="        order by topic, partition, record_offset desc limit $2 for update",
        suite=f"{_TESTS}/test_processing.py"
        "::test_a_replay_handles_a_key_in_its_order_once_the_fault_is_mended",
    ),
    Mutation(
        name="transient-taken-for-lasting",
        sentence="A deadlock counts as a fault of the events.",
        file=f"{_MESSAGING}/faults.py",
        old="    asyncpg.TransactionRollbackError,\n",
        new="",
        suite=f"{_TESTS}/test_processing.py::test_a_passing_fault_is_tried_again_until_it_passes",
    ),
    Mutation(
        name="foreign-tenant-in-a-record",
        sentence="A record whose body names another tenant than its header is believed.",
        file=f"{_MESSAGING}/records.py",
        old="    if fact.tenant_id not in (envelope.tenant_id, PLATFORM) or "
        "fact.subject != envelope.subject:",
        new="    if False:",
        suite=f"{_TESTS}/test_processing.py"
        "::test_a_body_of_another_tenant_than_its_header_is_put_aside_whatever_its_key",
    ),
)

_DELETE = (
    "        await self._connection.execute(\n"
    '            "delete from outbox where seq = any($1::bigint[])", '
    '[row["seq"] for row in rows]\n'
    "        )\n"
)
_HEAD = """\
    insert into stream_head as h (topic, key, tenant_id, version)
    select topic, key, (array_agg(tenant_id))[1], count(*) from staged group by topic, key
    order by topic, key
    on conflict (topic, key) do update set version = h.version + excluded.version
    returning h.topic, h.key, h.version
"""
_HEAD_LOOKED_AT = """\
    select s.topic, s.key, coalesce((select h.version from stream_head h
        where h.topic = s.topic and h.key = s.key), 0) + count(*) as version
    from staged s group by s.topic, s.key
), kept as (
    insert into stream_head as h (topic, key, tenant_id, version)
    select topic, key, (array_agg(tenant_id))[1], count(*) from staged group by topic, key
    order by topic, key
    on conflict (topic, key) do update set version = h.version + excluded.version
"""

RELAYING = (
    Mutation(
        name="deleted-before-it-is-sent",
        sentence="Rows leave the outbox before they are handed to the broker.",
        file=f"{_MESSAGING}/relay.py",
        old='        failpoint("relay.read")\n',
        new=f'        failpoint("relay.read")\n{_DELETE}',
        suite=f"{_TESTS}/test_relay.py::test_a_row_stays_until_the_broker_has_acknowledged_it",
    ),
    Mutation(
        name="acknowledgements-not-awaited",
        sentence="Rows are deleted while the broker has not yet answered.",
        file=f"{_MESSAGING}/relay.py",
        old="        await asyncio.gather(*pending)",
        new="        await asyncio.sleep(0)",
        suite=f"{_TESTS}/test_relay.py::test_a_row_stays_until_the_broker_has_acknowledged_it",
    ),
    Mutation(
        name="lease-skipped",
        sentence="A relay sends from every shard, whoever holds it.",
        file=f"{_MESSAGING}/relay.py",
        old='            "select s from unnest($2::int[]) as t(s) where pg_try_advisory_lock($1, s)",',
        new='            "select s from unnest($2::int[]) as t(s) where $1::int is not null",',
        suite=f"{_TESTS}/test_relay.py::test_a_shard_belongs_to_one_relay_until_its_session_ends",
    ),
    Mutation(
        name="outbox-read-in-any-order",
        sentence="The relay sends rows as they lie in the table.",
        file=f"{_MESSAGING}/relay.py",
        old="            order by seq limit $2",
        new="            limit $2",
        suite=f"{_TESTS}/test_relay.py::test_rows_are_sent_in_order_wherever_they_lie",
    ),
    Mutation(
        name="parked-row-overtaken",
        sentence="Rows of a key are sent though an earlier one of it cannot be.",
        file=f"{_MESSAGING}/relay.py",
        old="select from outbox p where p.parked and p.topic = o.topic and p.key = o.key)",
        new="select from outbox p where p.parked and p.seq = o.seq)",
        suite=f"{_TESTS}/test_relay.py::test_a_row_that_can_never_be_sent_holds_up_its_key_alone",
    ),
    Mutation(
        name="producer-without-idempotence",
        sentence="The producer may repeat and reorder records when it tries again.",
        file=f"{_MESSAGING}/relay.py",
        old="                enable_idempotence=True,",
        new="                enable_idempotence=False,",
        suite="tests/architecture/test_consumers_are_safe.py"
        "::test_the_relays_producer_is_idempotent_and_waits_for_every_replica",
    ),
    Mutation(
        name="versions-counted-over-the-batch",
        sentence="The version of a fact counts the facts of other aggregates too.",
        file=f"{_MESSAGING}/outbox.py",
        old="head.version - count(*) over (partition by s.topic, s.key)",
        new="head.version - count(*) over ()",
        suite=f"{_TESTS}/test_outbox.py"
        "::test_versions_of_an_aggregate_have_no_gap_across_batches_and_transactions",
    ),
    Mutation(
        name="head-not-locked",
        sentence="The next version is read from the head before its row is locked.",
        file=f"{_MESSAGING}/outbox.py",
        old=_HEAD,
        new=_HEAD_LOOKED_AT,
        suite=f"{_TESTS}/test_outbox.py::test_order_of_sending_agrees_with_versions_when_writers_"
        "race_for_the_same_aggregates",
    ),
    Mutation(
        name="heads-locked-in-any-order",
        sentence="Two transactions lock the heads they share in different orders.",
        file=f"{_MESSAGING}/outbox.py",
        old="    order by topic, key\n    on conflict (topic, key)",
        new="    order by random()\n    on conflict (topic, key)",
        suite=f"{_TESTS}/test_outbox.py::test_order_of_sending_agrees_with_versions_when_writers_"
        "race_for_the_same_aggregates",
    ),
    Mutation(
        name="savepoint-keeps-its-facts",
        sentence="Facts of work that was undone are stated.",
        file=f"{_MESSAGING}/transaction.py",
        old="            del self._staged[staged:], self._timers[due:], self._forwarded[copies:]\n",
        new="",
        suite=f"{_TESTS}/test_outbox.py::test_a_savepoint_takes_its_facts_and_timers_with_it",
    ),
)

TIMING = (
    Mutation(
        name="timer-taken-outside-the-transaction",
        sentence="A timer is gone before its handler's work commits.",
        file=f"{_MESSAGING}/timers.py",
        old="            claimed = await _claim(tx, list(self._handlers))\n",
        new="            claimed = await _claim(tx, list(self._handlers))\n"
        "        async with self._database.transaction() as tx:\n",
        suite=f"{_TESTS}/test_timers.py::test_a_timer_whose_handler_met_a_passing_fault_stays_due",
    ),
    Mutation(
        name="timer-fired-twice",
        sentence="A timer that fired is not deleted.",
        file=f"{_MESSAGING}/timers.py",
        old="        delete from timer using due where timer.kind = due.kind and timer.ref = due.ref\n",
        new="        update timer set attempts = timer.attempts from due\n"
        "        where timer.kind = due.kind and timer.ref = due.ref\n",
        suite=f"{_TESTS}/test_timers.py::test_a_timer_that_fired_does_not_fire_again",
    ),
    Mutation(
        name="failed-timer-forgotten",
        sentence="A timer whose handler failed is not set again.",
        file=f"{_MESSAGING}/timers.py",
        old="                await _put_off(tx, batch[0], repr(error)[:2000])\n",
        new="",
        suite=f"{_TESTS}/test_timers.py::test_one_that_fails_is_put_off_and_the_others_fire",
    ),
    Mutation(
        name="timer-not-moved",
        sentence="A timer that is set again keeps its old time.",
        file=f"{_MESSAGING}/timers.py",
        old="        on conflict (kind, ref) do update\n"
        "            set due_at = excluded.due_at, payload = excluded.payload, attempts = 0, "
        "error = null\n",
        new="        on conflict (kind, ref) do nothing\n",
        suite=f"{_TESTS}/test_timers.py::test_a_timer_set_again_later_is_moved_both_ways",
    ),
)

WRITING = (
    Mutation(
        name="request-hash-ignored",
        sentence="A key that came with another body before is answered with that body's answer.",
        file=f"{_MESSAGING}/idempotency.py",
        old='        elif row["request_hash"] != key.request_hash:',
        new="        elif False:",
        suite=f"{_TESTS}/test_writer.py"
        "::test_a_key_with_another_body_is_refused_in_the_same_and_in_a_later_batch",
    ),
    Mutation(
        name="key-without-its-tenant",
        sentence="Two tenants with the same Idempotency-Key are taken for one.",
        file=f"{_MESSAGING}/idempotency.py",
        old="    tenant_id: UUID\n    route: str",
        new="    tenant_id: UUID = field(compare=False)\n    route: str",
        suite=f"{_TESTS}/test_writer.py::test_keys_of_two_tenants_are_independent",
    ),
    Mutation(
        name="kept-answer-not-given",
        sentence="A repeated request gets an empty answer instead of the kept one.",
        file=f"{_MESSAGING}/idempotency.py",
        old='Answer(row["status_code"], row["body"], row["headers"], replayed=True)',
        new='Answer(row["status_code"], b"", row["headers"], replayed=True)',
        suite=f"{_TESTS}/test_writer.py"
        "::test_the_same_key_and_body_gets_the_same_answer_byte_for_byte",
    ),
    Mutation(
        name="twins-of-a-batch-both-written",
        sentence="Requests with one key that wait at the same moment are all carried out.",
        file=f"{_MESSAGING}/writer.py",
        old="(first[waiting.key] is waiting and waiting.key not in known)",
        new="waiting.key not in known",
        suite=f"{_TESTS}/test_writer.py::test_fifty_at_once_with_one_key_write_once",
    ),
    Mutation(
        name="unanswered-commit-written-again",
        sentence="A write whose commit was not answered is done again as a new one.",
        file=f"{_MESSAGING}/writer.py",
        old="                if xid is None or not is_transient(error) or "
        "not await self._has_committed(xid):",
        new="                if xid is not None:",
        suite=f"{_TESTS}/test_writer.py"
        "::test_a_write_whose_commit_was_not_answered_is_done_once_without_any_key",
    ),
    Mutation(
        name="unknown-taken-for-failed",
        sentence="A write nobody can account for counts as not done, and is repeated.",
        file=f"{_MESSAGING}/writer.py",
        old="        raise OutcomeUnknown\n",
        new="        return False\n",
        suite=f"{_TESTS}/test_writer.py"
        "::test_a_write_nobody_can_account_for_says_so_and_is_not_repeated",
    ),
    Mutation(
        name="bad-request-fails-its-neighbours",
        sentence="A request that breaks the command fails all that wait with it.",
        file=f"{_MESSAGING}/writer.py",
        old="                elif len(batch) == 1:\n"
        '                    log.exception("write.failed", command=batch[0].command.__name__)\n'
        "                    _tell(batch[0], error)\n",
        new="                elif batch:\n"
        "                    for waiting in batch:\n"
        "                        _tell(waiting, error)\n",
        suite=f"{_TESTS}/test_writer.py::test_a_request_that_breaks_the_command_fails_alone",
    ),
    Mutation(
        name="queue-without-a-bound",
        sentence="Any number of writes may wait.",
        file=f"{_MESSAGING}/writer.py",
        old="        if len(self._queue) >= self._queue_max:\n            raise Overloaded\n",
        new="",
        suite=f"{_TESTS}/test_writer.py::test_above_its_limit_the_queue_refuses_and_says_so",
    ),
)

PLANTED = (*CONSUMING, *RELAYING, *TIMING, *WRITING)
