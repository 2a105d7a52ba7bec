"""Heads are signed and published hourly; the whole ledger is proved against them."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from audit.ledger_commands import is_signed
from audit.ledger_verifier import Heads, Verified, verify
from invoiceos_contracts.ledger_v1 import LedgerHeadPublished
from messaging import Tx
from reserve_ledger.commands.publish_heads import publish_heads
from reserve_ledger.settings import signer
from testkit.service import ServiceUnderTest

HOUR = timedelta(hours=1)


async def published(ledger: ServiceUnderTest, every: timedelta = HOUR) -> dict[str, dict[int, str]]:
    async with ledger.worker.transaction() as tx:
        await publish_heads(tx, every)
    heads: dict[str, dict[int, str]] = {}
    for fact in await ledger.facts(LedgerHeadPublished):
        assert is_signed(fact, signer().public_key)
        heads.setdefault(str(fact.ledger_id), {})[fact.sequence] = fact.hash
    return heads


def verified(ledger: ServiceUnderTest, heads: Heads, *planted: str) -> Verified:
    """Prove the ledger with these changes in it."""
    with psycopg.connect(ledger.place.admin_url, autocommit=True) as connection:
        if planted:
            connection.execute("set session_replication_role = replica")
        for statement in planted:
            connection.execute(statement)
        return verify(connection, heads)


async def test_heads_are_published_once_an_hour_and_only_where_something_was_posted(
    ledger: ServiceUnderTest, payer: Any, new_payer: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), 5), new_payer().succeeded(Tx.new_id(), 6))
    await published(ledger)
    await ledger.receives(payer.succeeded(Tx.new_id(), 7))
    heads = await published(ledger)
    assert heads[str(payer.tenant_id)].keys() == {1}
    assert len(heads) == 2
    heads = await published(ledger, timedelta(0))
    assert heads[str(payer.tenant_id)].keys() == {1, 2}
    assert sum(len(found) for found in heads.values()) == 3


async def test_a_sound_ledger_is_proved_whole_against_its_heads(
    ledger: ServiceUnderTest, payer: Any, new_payer: Any
) -> None:
    other = new_payer()
    paid = [payer.succeeded(Tx.new_id(), 9_000_000 + n * 900_000) for n in range(4)]
    await ledger.receives(*paid, other.succeeded(Tx.new_id(), 5))
    heads = await published(ledger)
    await ledger.receives(payer.reverted(paid[0]), payer.voided(paid[1].invoice_id))
    found = verified(ledger, heads)
    assert found.broken == []
    assert (found.ledgers, found.transactions, found.heads) == (2, 7, 2)
    assert found.postings == await ledger.worker.fetchval("select count(*) from posting")


ROWS = "reserve_ledger.posting set amount_minor = amount_minor"


@pytest.mark.parametrize(
    ("planted", "sequence", "reason"),
    [
        (f"update {ROWS} + 1 where sequence = 2 and line = 2", 2, "the balance is"),
        (
            "update reserve_ledger.ledger_transaction set payment_id = id where sequence = 3",
            3,
            "altered",
        ),
        ("delete from reserve_ledger.posting where sequence = 2", 2, "it has no postings"),
        (
            (
                "delete from reserve_ledger.ledger_transaction where sequence = 2;"
                "delete from reserve_ledger.posting where sequence = 2"
            ),
            3,
            "2 is missing before it",
        ),
        (
            (
                "update reserve_ledger.account_balance set debit_minor = debit_minor + 1"
                " where account = '1200'"
            ),
            3,
            "the kept balances are others",
        ),
        (
            (
                "delete from reserve_ledger.ledger_transaction where sequence = 3;"
                "delete from reserve_ledger.posting where sequence = 3"
            ),
            2,
            "the kept head is another",
        ),
    ],
)
async def test_the_first_broken_row_is_named(
    ledger: ServiceUnderTest, payer: Any, planted: str, sequence: int, reason: str
) -> None:
    await ledger.receives(*[payer.succeeded(Tx.new_id(), 100 + n) for n in range(3)])
    heads = await published(ledger)
    (broken,) = verified(ledger, heads, planted).broken
    assert (broken.sequence, broken.tenant_id) == (sequence, str(payer.tenant_id))
    assert broken.reason.startswith(reason)


async def test_a_ledger_that_was_rewritten_as_a_whole_contradicts_its_published_head(
    ledger: ServiceUnderTest, payer: Any
) -> None:
    await ledger.receives(payer.succeeded(Tx.new_id(), 100))
    heads = {str(payer.tenant_id): {1: "ab" * 32}}
    (broken,) = verified(ledger, heads).broken
    assert broken.reason == "another hash was published for it"
