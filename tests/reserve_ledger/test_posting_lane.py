"""Requests to post that wait at the same moment are one batch; each keeps its own answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from tests.reserve_ledger.desks import ESCROW, MINE, NET, SHOP, TEN

from messaging import Answer, Database, Refusal, Tx, Writer
from reserve_ledger.commands import post_for_tenants, post_transactions
from reserve_ledger.domain.tenant_postings import Line, PostingRequest, Written
from testkit.service import ServiceUnderTest

POSTED = "select count(*) from ledger_transaction where reference is not null"
STATED = "select count(*) from reserve_statement"


@asynccontextmanager
async def lane(ledger: ServiceUnderTest) -> AsyncIterator[Callable[..., Any]]:
    """A process that posts: what it is asked for at once, it posts at once."""
    database = await Database.open(ledger.place.url("api"), "reserve_ledger", size=2)
    writer = Writer(database)
    writing = asyncio.create_task(writer.run())

    async def post(tenant_id: UUID, reference: str, minor: int, to: str = SHOP) -> str:
        lines = (Line(MINE, "PATHUSD", minor), Line(to, "PATHUSD", -minor))
        request = PostingRequest(tenant_id, "ana", lines, reference)
        try:
            given = await writer.submit(
                post_for_tenants.post_for_tenants, request, tenant_id=tenant_id, answer=_told
            )
        except Refusal as refusal:
            return refusal.code
        return given.body.decode()

    yield post
    writing.cancel()
    await database.close()


def _told(made: Written) -> Answer:
    return Answer(201, str(made.entry.id).encode())


@pytest.fixture
async def tenant(ledger: ServiceUnderTest, payer: Any) -> UUID:
    await ledger.receives(payer.succeeded(Tx.new_id(), TEN))
    found: UUID = payer.tenant_id
    return found


async def test_a_refusal_harms_none_of_those_that_share_its_batch(
    ledger: ServiceUnderTest, tenant: UUID, auditor: Any
) -> None:
    async with lane(ledger) as post:
        stated = await ledger.worker.fetchval(STATED)
        asked = [(f"t{n}", NET + 1 if n % 3 == 0 else 7) for n in range(30)]
        told = await asyncio.gather(*[post(tenant, name, minor) for name, minor in asked])
        refused = [code for code, (_, minor) in zip(told, asked, strict=True) if minor > NET]
        made = [one for one, (_, minor) in zip(told, asked, strict=True) if minor == 7]
    assert set(refused) == {"insufficient_funds"}
    assert len({UUID(one) for one in made}) == 20
    assert await ledger.worker.fetchval(POSTED) == 20
    assert await ledger.worker.fetchval(STATED) - stated < 10
    await auditor.sound()


async def test_what_is_left_is_shared_out_in_one_batch_to_the_last_unit(
    ledger: ServiceUnderTest, tenant: UUID, auditor: Any
) -> None:
    part = NET // 4
    async with lane(ledger) as post:
        told = await asyncio.gather(*[post(tenant, f"t{n}", part, ESCROW) for n in range(9)])
    assert told.count("insufficient_funds") == 5
    assert await ledger.worker.fetchval(POSTED) == 4
    await auditor.sound()


@pytest.mark.parametrize("point", ["ledger.asked", "ledger.entered", "ledger.stated"])
async def test_a_death_in_the_middle_leaves_all_or_nothing_of_each(
    ledger: ServiceUnderTest,
    tenant: UUID,
    auditor: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    def die(name: str) -> None:
        if name == point:
            raise RuntimeError(point)

    async with lane(ledger) as post:
        with monkeypatch.context() as patched:
            patched.setattr(post_for_tenants, "failpoint", die)
            patched.setattr(post_transactions, "failpoint", die)
            ends = await asyncio.gather(
                *[post(tenant, f"t{n}", 5) for n in range(6)], return_exceptions=True
            )
        assert all(isinstance(end, RuntimeError) for end in ends)
        assert await ledger.worker.fetchval(POSTED) == 0
        again = await asyncio.gather(*[post(tenant, f"t{n}", 5) for n in range(6)])
    assert len({UUID(one) for one in again}) == 6
    assert await ledger.worker.fetchval(POSTED) == 6
    await auditor.sound()


async def test_one_reference_from_two_processes_at_once_is_booked_once(
    ledger: ServiceUnderTest, tenant: UUID, auditor: Any
) -> None:
    async with lane(ledger) as one, lane(ledger) as other:
        told = await asyncio.gather(
            *[post(tenant, f"t{n % 5}", 3) for n in range(20) for post in (one, other)]
        )
        assert await other(tenant, "t0", 4) == "reference_reused"
    assert len({UUID(end) for end in told}) == 5
    assert await ledger.worker.fetchval(POSTED) == 5
    await auditor.sound()
