"""What the reserve froze is not issued, until a person lifts it; what is issued stays as it is."""

import itertools
from typing import Any
from uuid import uuid4

from tests.invoice.commands.test_bulk_rows import row

from invoice.commands.issue_invoices import IssueInvoice, issue_invoices
from invoice.errors import IssuingFrozen
from invoiceos_contracts.bulk_v1 import BulkRowRefused
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.ledger_v1 import ReserveBreached, ReserveFreezeLifted
from invoiceos_contracts.samples import sample
from testkit.service import ServiceUnderTest, record_of


def breached(version: int, *, frozen: bool = True) -> Any:
    fact = sample(ReserveBreached).model_copy(update={"frozen": frozen})
    return record_of(fact, version=version)


def lifted(version: int) -> Any:
    return record_of(sample(ReserveFreezeLifted), version=version)


async def last_version(unit: ServiceUnderTest) -> int:
    """Tests share their database: each speaks later than those before it."""
    version = await unit.worker.fetchval("select max(version) from issuing_freeze")
    return version or 0


async def test_nothing_is_issued_while_the_reserve_is_frozen(
    unit: ServiceUnderTest, shop: Any
) -> None:
    (draft,) = await shop.drafts()
    (open_one,) = await shop.drafts(issue=True)
    before = await last_version(unit)
    await unit.receives(breached(before + 1, frozen=False))
    await unit.receives(breached(before + 2), breached(before + 2))
    wanted = [IssueInvoice(shop.tenant, one.id, send=True) for one in (draft, open_one)]
    async with unit.worker.transaction() as tx:
        refused, same = await issue_invoices(tx, wanted)
    assert isinstance(refused, IssuingFrozen)
    assert same.document == open_one.document
    bulk = row(uuid4())
    await unit.receives(bulk)
    assert [fact.code for fact in await unit.facts(BulkRowRefused)] == ["issuing_frozen"]
    assert len(await unit.facts(InvoiceIssuing)) == 1
    (other,) = await shop.drafts()
    await unit.receives(lifted(before + 3))
    async with unit.worker.transaction() as tx:
        outcomes = await issue_invoices(
            tx, [IssueInvoice(shop.tenant, one.id) for one in (draft, other)]
        )
    assert [one.document for one in outcomes] == ["issuing", "issuing"]


async def test_the_ledgers_last_word_counts_whatever_order_it_comes_in(
    unit: ServiceUnderTest,
) -> None:
    before = await last_version(unit)
    for start, order in enumerate(itertools.permutations(range(3))):
        at = before + start * 10
        said = [breached(at + 1), lifted(at + 2), breached(at + 3)]
        for place in order:
            await unit.receives(said[place], said[place])
        assert await unit.worker.fetchval("select frozen from issuing_freeze")
        await unit.receives(lifted(at + 4), breached(at + 2))
        assert not await unit.worker.fetchval("select frozen from issuing_freeze")
