"""Transactions, reversals and holds over HTTP: atomic, once for a reference, never an overdraft."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.reserve_ledger.desks import ESCROW, MINE, NET, SHOP, TEN, Desk, holding, moving

from audit.invariants.ledger import LEDGER
from audit.invariants.ledger_accounts import LEDGER_ACCOUNTS
from invoiceos_contracts import encode
from invoiceos_contracts.ledger_v1 import ReserveStated, TransactionPosted
from messaging import Tx
from reserve_ledger.commands import post_for_tenants, post_transactions
from testkit.service import ServiceUnderTest


async def at(ledger: ServiceUnderTest, tenant_id: UUID, address: str) -> tuple[int, int]:
    """What is owed at an address, and what is held back of it."""
    rows = await ledger.worker.fetch(
        """select credit_minor - debit_minor as owed, held_minor from account
        where tenant_id = $1 and address = $2 and asset = 'PATHUSD'""",
        tenant_id,
        address,
    )
    return (rows[0]["owed"], rows[0]["held_minor"]) if rows else (0, 0)


async def sound(ledger: ServiceUnderTest, auditor: Any) -> None:
    await auditor.sound()
    for one in (*LEDGER, *LEDGER_ACCOUNTS):
        if "%(" not in one.sql:
            sql = one.sql.replace("reserve_ledger.", "").replace("%%", "%")
            assert not await ledger.worker.fetch(sql), one.name


async def test_a_transaction_is_posted_once_for_its_reference(
    ledger: ServiceUnderTest, desk: Desk, auditor: Any
) -> None:
    body = moving(
        "rent/1", 4_000_000, effective_at="2026-10-01T00:00:00Z", metadata={"order": "été 7"}
    )
    made = await desk.post("transactions", body)
    assert await desk.post("transactions", body) == made
    assert (made["sequence"], made["template"], made["dry_run"]) == (2, "posted.v1", False)
    assert [(p["address"], p["balance_minor"]) for p in made["postings"]] == [
        (MINE, 4_000_000 - NET),
        (SHOP, -4_000_000),
    ]
    assert await desk.code("transactions", moving("rent/1", 4_000_001)) == "reference_reused"
    view = await desk.get(f"transactions/{made['id']}")
    assert (view["reference"], view["actor"], view["metadata"]) == (
        "rent/1",
        "ana",
        {"order": "été 7"},
    )
    assert view["effective_at"].startswith("2026-10-01")
    told = (await ledger.facts(TransactionPosted))[-1]
    assert (told.reference, told.hash) == ("rent/1", made["hash"])
    assert (await ledger.facts(ReserveStated))[-1].covered
    await sound(ledger, auditor)


async def test_a_dry_run_shows_what_would_be_and_posts_nothing(
    ledger: ServiceUnderTest, desk: Desk
) -> None:
    shown = await desk.post("transactions", moving("x", 7, dry_run=True), status=200)
    assert (shown["dry_run"], shown["id"], shown["sequence"]) == (True, None, None)
    assert shown["postings"][1]["balance_minor"] == -7
    assert await desk.code("transactions", moving("x", TEN, dry_run=True)) == "insufficient_funds"
    assert await at(ledger, desk.tenant_id, SHOP) == (0, 0)
    assert len(await ledger.facts(TransactionPosted)) == 1


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("treasury", "account_not_yours"),
        ("bank:main", "account_not_yours"),
        ("provider:stripe:clearing", "account_not_yours"),
        ("merchant:pending", "account_not_yours"),
        ("payer", "account_not_yours"),
        ("payout", "account_not_yours"),
        ("refund", "account_not_yours"),
        ("tokens", "account_not_yours"),
        ("suspense:out", "account_not_yours"),
        ("fees", "account_not_yours"),
        ("costs:provider", "account_not_yours"),
        ("exchange:bridge", "account_not_yours"),
        ("nobody:knows", "address_unknown"),
        ("Merchant:available", "address_unknown"),
    ],
)
async def test_no_account_of_the_platform_can_be_posted_to(
    ledger: ServiceUnderTest, desk: Desk, address: str, code: str
) -> None:
    assert await desk.code("transactions", moving("a", 5, to=address)) == code
    assert await desk.code("transactions", moving("b", 5, source=address, to=MINE)) == code
    body = {"reference": "h", "address": address, "asset": "PATHUSD", "amount_minor": 1}
    assert await desk.code("holds", body) == code
    assert len(await ledger.facts(TransactionPosted)) == 1


async def test_what_is_not_sound_is_refused_and_changes_nothing(
    ledger: ServiceUnderTest, desk: Desk, desks: Any
) -> None:
    uneven = moving("a", 5)
    uneven["postings"][1]["amount_minor"] = -4
    assert await desk.code("transactions", uneven) == "postings_unbalanced"
    mixed = moving("a", 5)
    mixed["postings"][1]["asset"] = "USDC"
    assert await desk.code("transactions", mixed) == "postings_unbalanced"
    zero = moving("a", 0)
    assert (await desk.call("POST", "transactions", zero)).status_code == 422
    for change in ({"reference": "a b"}, {"postings": []}, {"state": "x"}, {"effective_at": 5}):
        answer = await desk.call("POST", "transactions", moving("a", 5) | change)
        assert answer.status_code == 422, change
    answer = await desk.call("POST", "transactions", moving("a", 5), scope="ledger:read")
    assert answer.json()["code"] == "scope_missing"
    stranger = desks(Tx.new_id())
    assert await stranger.code("transactions", moving("a", 5)) == "insufficient_funds"
    assert len(await ledger.facts(TransactionPosted)) == 1


async def test_a_reversal_is_linked_made_once_and_only_of_what_was_asked_for(
    ledger: ServiceUnderTest, desk: Desk, desks: Any, auditor: Any
) -> None:
    made = await desk.post("transactions", moving("a", 900, to=ESCROW))
    back = await desk.post(f"transactions/{made['id']}/reverse")
    assert (back["reverses"], back["template"]) == (made["id"], "posted_reversed.v1")
    assert await at(ledger, desk.tenant_id, ESCROW) == (0, 0)
    assert await desk.code(f"transactions/{made['id']}/reverse") == "transaction_reversed"
    assert await desk.code(f"transactions/{back['id']}/reverse") == "transaction_not_reversible"
    paid = (await desk.get("transactions"))["items"][-1]
    assert await desk.code(f"transactions/{paid['id']}/reverse") == "transaction_not_reversible"
    stranger = desks(Tx.new_id())
    assert await stranger.code(f"transactions/{made['id']}/reverse") == "transaction_not_found"
    spent = await desk.post("transactions", moving("b", 900, to=ESCROW))
    await desk.post("transactions", moving("c", 1, source=ESCROW, to=SHOP))
    assert await desk.code(f"transactions/{spent['id']}/reverse") == "insufficient_funds"
    await sound(ledger, auditor)


async def test_held_money_is_there_and_not_available_until_it_is_captured_or_given_up(
    ledger: ServiceUnderTest, desk: Desk, auditor: Any
) -> None:
    hold = await desk.post("holds", holding("deposit", NET))
    assert await desk.post("holds", holding("deposit", NET)) == hold
    assert await desk.code("holds", holding("deposit", 5)) == "reference_reused"
    assert await desk.code("transactions", moving("a", 1)) == "insufficient_funds"
    assert await desk.code("holds", holding("more", 1)) == "insufficient_funds"
    assert await at(ledger, desk.tenant_id, MINE) == (NET, NET)
    path = f"holds/{hold['id']}/capture"
    assert await desk.code(path, {"to": "treasury"}) == "account_not_yours"
    assert await desk.code(path, {"to": SHOP, "amount_minor": TEN}) == "capture_too_large"
    captured = await desk.post(path, {"to": SHOP, "amount_minor": 600}, status=200)
    assert (captured["state"], captured["captured_minor"]) == ("captured", 600)
    assert await at(ledger, desk.tenant_id, MINE) == (NET - 600, 0)
    assert await at(ledger, desk.tenant_id, SHOP) == (600, 0)
    assert await desk.code(path, {"to": SHOP}) == "hold_ended"
    second = await desk.post("holds", holding("second", 700))
    await desk.post(f"holds/{second['id']}/void", status=200)
    assert await desk.code(f"holds/{second['id']}/void") == "hold_ended"
    assert await at(ledger, desk.tenant_id, MINE) == (NET - 600, 0)
    listed = (await desk.get("holds"))["items"]
    assert [one["state"] for one in listed] == ["voided", "captured"]
    assert (await desk.get("holds?state=held"))["items"] == []
    assert (await desk.get(f"holds/{hold['id']}"))["transaction_id"] == captured["transaction_id"]
    await desk.post(f"transactions/{captured['transaction_id']}/reverse")
    assert await at(ledger, desk.tenant_id, MINE) == (NET, 0)
    await sound(ledger, auditor)


async def test_a_hold_ends_by_itself_and_cannot_be_captured_after_its_time(
    ledger: ServiceUnderTest, desk: Desk, desks: Any, auditor: Any
) -> None:
    now = await ledger.worker.fetchval("select clock_timestamp()")
    late = (now + timedelta(hours=1)).isoformat()
    hold = await desk.post("holds", holding("soon", 500, expires_at=late))
    lasting = await desk.post("holds", holding("lasting", 60))
    await ledger.worker.pool.execute("update timer set due_at = now() - interval '1 s'")
    await ledger.worker.pool.execute(
        "update hold set expires_at = now() - interval '1 s' where expires_at is not null"
    )
    assert await desk.code(f"holds/{hold['id']}/capture", {"to": SHOP}) == "hold_ended"
    assert await ledger.timers.fire_due() == 1
    assert await ledger.timers.fire_due() == 0
    assert (await desk.get(f"holds/{hold['id']}"))["state"] == "expired"
    assert await at(ledger, desk.tenant_id, MINE) == (NET, 60)
    stranger = desks(Tx.new_id())
    assert await stranger.code(f"holds/{lasting['id']}/void") == "hold_not_found"
    await sound(ledger, auditor)


async def test_many_clients_at_once_never_take_more_than_there_is(
    ledger: ServiceUnderTest, desk: Desk, desks: Any, payer: Any, auditor: Any
) -> None:
    chance = random.Random(3)
    other = desks(Tx.new_id())

    async def one(number: int) -> str:
        minor = chance.randint(1, TEN // 4)
        if number % 3 == 0:
            answer = await desk.call("POST", "holds", holding(f"h{number}", minor))
        elif number % 7 == 0:
            answer = await other.call("POST", "transactions", moving(f"t{number}", minor))
        else:
            to = chance.choice([SHOP, ESCROW, MINE])
            answer = await desk.call("POST", "transactions", moving(f"t{number}", minor, to=to))
        assert answer.status_code in (201, 409), answer.text
        return "done" if answer.status_code == 201 else answer.json()["code"]

    ends = await asyncio.gather(*[one(number) for number in range(60)])
    assert set(ends) == {"done", "insufficient_funds"}
    owed, held = await at(ledger, desk.tenant_id, MINE)
    assert 0 <= held <= owed
    addresses = (MINE, SHOP, ESCROW)
    assert sum([(await at(ledger, desk.tenant_id, a))[0] for a in addresses]) == NET
    await sound(ledger, auditor)


async def test_the_same_key_is_answered_the_same_and_a_death_before_the_commit_leaves_nothing(
    ledger: ServiceUnderTest, desk: Desk, auditor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for point in ("ledger.asked", "ledger.entered", "ledger.stated"):

        def die(name: str, at: str = point) -> None:
            if name == at:
                raise RuntimeError(at)

        with monkeypatch.context() as patched:
            patched.setattr(post_for_tenants, "failpoint", die)
            patched.setattr(post_transactions, "failpoint", die)
            answer = await desk.call("POST", "transactions", moving("a", 5))
        assert answer.status_code >= 500
        assert await at(ledger, desk.tenant_id, SHOP) == (0, 0)
    key = {"Idempotency-Key": "one"}
    made = await desk.post("transactions", moving("a", 5), **key)
    assert await desk.post("transactions", moving("a", 5), **key) == made
    assert await at(ledger, desk.tenant_id, SHOP) == (5, 0)
    await sound(ledger, auditor)


async def test_a_tenant_sees_no_other_tenants_holds(desk: Desk, desks: Any) -> None:
    hold = await desk.post("holds", holding("a", 5))
    stranger = desks(Tx.new_id())
    assert (await stranger.get("holds"))["items"] == []
    unknown = await stranger.call("GET", f"holds/{hold['id']}", scope="ledger:read")
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "hold_not_found"
    nothing = encode("hld", Tx.new_id())
    assert await desk.code(f"holds/{nothing}/void") == "hold_not_found"
