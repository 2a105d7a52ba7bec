"""Requests that wait at the same moment share a transaction; each keeps its answer and its error."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from messaging import Answer, Database, Overloaded, Refusal, RequestKey, Writer
from messaging.errors import IdempotencyKeyReused, OutcomeUnknown
from testkit.service import a_tenant

calls: list[int] = []


@dataclass(frozen=True)
class Note:
    tenant_id: UUID
    name: str


class Refused(Refusal):
    code = "note_refused"


async def write_notes(tx, notes):
    calls.append(len(notes))
    if any(note.name == "bug" for note in notes):
        raise ZeroDivisionError
    good = [note for note in notes if note.name != "bad"]
    await tx.execute(
        """
        insert into effect (tenant_id, name, event_id, handled_by)
        select t, n, gen_random_uuid(), 'writer' from unnest($1::uuid[], $2::text[]) as x(t, n)
        """,
        [note.tenant_id for note in good],
        [note.name for note in good],
    )
    return [Refused() if note.name == "bad" else note.name for note in notes]


def answer(name):
    return Answer(201, f"made {name}".encode(), {"X": "1"})


@asynccontextmanager
async def writing(toy, **limits):
    calls.clear()
    writer = Writer(toy.api, **limits)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def send(writer, name, tenant, key=None):
    return writer.submit(write_notes, Note(tenant, name), tenant_id=tenant, answer=answer, key=key)


def keyed(tenant, key, body=b"body"):
    return RequestKey.of(tenant, "POST /notes", key, body)


async def names(toy):
    rows = await toy.worker.fetch("select name from effect order by name")
    return [row["name"] for row in rows]


async def test_concurrent_requests_share_transactions(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        answers = await asyncio.gather(*(send(writer, f"{n}", tenant) for n in range(200)))
    assert [given.body for given in answers] == [f"made {n}".encode() for n in range(200)]
    assert len(calls) < 10


async def test_a_refused_request_does_not_fail_its_neighbours(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        got = await asyncio.gather(
            *(send(writer, n, tenant) for n in ("a", "bad", "c")), return_exceptions=True
        )
    assert isinstance(got[1], Refused)
    assert await names(toy) == ["a", "c"]


async def test_a_request_that_breaks_the_command_fails_alone(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        got = await asyncio.gather(
            *(send(writer, n, tenant) for n in ("a", "b", "bug", "c", "d")), return_exceptions=True
        )
    assert [type(g) for g in got] == [Answer, Answer, ZeroDivisionError, Answer, Answer]
    assert await names(toy) == ["a", "b", "c", "d"]


async def test_the_same_key_and_body_gets_the_same_answer_byte_for_byte(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        first = await send(writer, "once", tenant, keyed(tenant, "k"))
        again = await send(writer, "once", tenant, keyed(tenant, "k"))
    assert (again.status_code, again.body, again.headers) == (201, first.body, first.headers)
    assert again.replayed
    assert await names(toy) == ["once"]


async def test_fifty_at_once_with_one_key_write_once(toy):
    tenant = a_tenant()
    async with writing(toy) as one, writing(toy) as two:
        got = await asyncio.gather(
            *(send(w, "once", tenant, keyed(tenant, "k")) for w in [one, two] * 25)
        )
    assert {given.body for given in got} == {b"made once"}
    assert await names(toy) == ["once"]


async def test_a_key_with_another_body_is_refused_in_the_same_and_in_a_later_batch(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        got = await asyncio.gather(
            send(writer, "a", tenant, keyed(tenant, "k", b"1")),
            send(writer, "b", tenant, keyed(tenant, "k", b"2")),
            return_exceptions=True,
        )
        assert isinstance(got[0], Answer)
        assert isinstance(got[1], IdempotencyKeyReused)
        with pytest.raises(IdempotencyKeyReused):
            await send(writer, "b", tenant, keyed(tenant, "k", b"2"))
    assert await names(toy) == ["a"]


async def test_keys_of_two_tenants_are_independent(toy):
    one, two = a_tenant(), a_tenant()
    async with writing(toy) as writer:
        await asyncio.gather(
            send(writer, "one", one, keyed(one, "k")), send(writer, "two", two, keyed(two, "k"))
        )
    assert await names(toy) == ["one", "two"]


async def test_a_refused_request_leaves_no_record_and_may_be_sent_again(toy):
    tenant = a_tenant()
    async with writing(toy) as writer:
        for _ in range(2):
            with pytest.raises(Refused):
                await send(writer, "bad", tenant, keyed(tenant, "k"))
    assert await toy.worker.fetchval("select count(*) from idempotency") == 0


async def test_above_its_limit_the_queue_refuses_and_says_so(toy):
    tenant = a_tenant()
    async with writing(toy, queue_max=10) as writer:
        got = await asyncio.gather(
            *(send(writer, f"{n}", tenant) for n in range(50)), return_exceptions=True
        )
    refused = [g for g in got if isinstance(g, Overloaded)]
    assert len(refused) == 40
    assert len(await names(toy)) == 10


async def test_a_batch_cannot_write_for_a_tenant_that_did_not_ask(toy):
    async def trespass(tx, notes):
        await tx.execute(
            "insert into effect (tenant_id, name, event_id, handled_by)"
            " values ($1, 'x', gen_random_uuid(), '')",
            a_tenant(),
        )
        return ["x" for _ in notes]

    tenant = a_tenant()
    async with writing(toy) as writer:
        with pytest.raises(Exception, match="row-level security"):
            await writer.submit(trespass, Note(tenant, "x"), tenant_id=tenant, answer=answer)
    assert await names(toy) == []


class Losing(Database):
    """Loses the connection once: before the commit, or after it with its answer on the way."""

    lose = "after"

    @asynccontextmanager
    async def transaction(self, tenants=()):
        lose, self.lose = self.lose, ""
        async with super().transaction(tenants) as tx:
            yield tx
            if lose == "before":
                await tx.flush()
                raise asyncpg.ConnectionDoesNotExistError("lost before the commit")
        if lose == "after":
            raise asyncpg.ConnectionDoesNotExistError("the answer to the commit was lost")


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_a_write_whose_commit_was_not_answered_is_done_once_without_any_key(toy, lose):
    tenant = a_tenant()
    database = Losing(toy.api.pool, toy.api.schema)
    database.lose = lose
    toy.api = database
    async with writing(toy) as writer:
        given = await send(writer, "once", tenant)
    assert given.body == b"made once"
    assert await names(toy) == ["once"]


async def test_a_write_nobody_can_account_for_says_so_and_is_not_repeated(toy, monkeypatch):
    tenant = a_tenant()
    database = Losing(toy.api.pool, toy.api.schema)

    async def unreachable(sql, *arguments):
        raise asyncpg.CannotConnectNowError("starting up")

    monkeypatch.setattr(database, "fetchval", unreachable)
    toy.api = database
    async with writing(toy) as writer:
        with pytest.raises(OutcomeUnknown):
            await send(writer, "once", tenant)
    assert await names(toy) == ["once"]
