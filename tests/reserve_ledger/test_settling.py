"""Money at providers and deposit addresses: pending, cleared, disputed, paid out, in any order."""

import random
from typing import Any
from uuid import UUID

import pytest

from audit.invariants.ledger import LEDGER
from audit.invariants.ledger_accounts import LEDGER_ACCOUNTS
from audit.invariants.reserves import RESERVES
from invoiceos_contracts import PLATFORM, Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import (
    ChargebackBooked,
    FundsBooked,
    FundsReservationRefused,
    ReservationEvent,
    ReserveStated,
    TransactionPosted,
)
from invoiceos_contracts.payment_v1 import (
    PaymentDisputeClosed,
    PaymentDisputed,
    PaymentFeeKnown,
    PaymentFundsAvailable,
    PaymentSucceeded,
    RefundFailed,
    RefundRequested,
    RefundSucceeded,
)
from invoiceos_contracts.provider_v1 import (
    DepositSwept,
    NetworkFeePaid,
    ProviderPayoutAnnounced,
    ProviderPayoutArrived,
    ProviderPayoutFailed,
)
from invoiceos_contracts.samples import sample
from messaging import Tx
from reserve_ledger.commands import post_transactions as posting
from reserve_ledger.commands import settle_payments as settling
from testkit.service import ServiceUnderTest, record_of

TEN = 1_000
"""Ten dollars in cents; invoices of these tests ask for ten dollars, and the platform takes 15."""
FEE = 15


def usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, asset="USD")


def at_provider(payer: Any, minor: int = TEN, *, fee: int | None = None) -> PaymentSucceeded:
    paid = payer.succeeded(Tx.new_id(), minor, asset="USD")
    kept = None if fee is None else usd(fee)
    return paid.model_copy(update={"held_at": "clearing", "provider": "stripe", "fee": kept})


def at_address(payer: Any, minor: int, invoice_id: UUID | None = None) -> PaymentSucceeded:
    paid = payer.succeeded(invoice_id or Tx.new_id(), minor, asset="USDC")
    return paid.model_copy(update={"held_at": "deposit", "provider": "evm"})


def of(paid: Any, kind: type[Event], **change: Any) -> Any:
    """Another fact about the same payment."""
    names = ("tenant_id", "payment_id", "invoice_id", "wallet_id", "provider", "rail", "amount")
    same = {name: getattr(paid, name) for name in names}
    return sample(kind).model_copy(update=same | change)


def available(paid: Any) -> Any:
    return of(paid, PaymentFundsAvailable)


def disputed(paid: Any, minor: int, dispute_id: UUID, fee: int | None = None) -> Any:
    charged = None if fee is None else usd(fee)
    return of(paid, PaymentDisputed, dispute_id=dispute_id, disputed=usd(minor), fee=charged)


def closed(paid: Any, minor: int, dispute_id: UUID, outcome: str) -> Any:
    told = {"dispute_id": dispute_id, "disputed": usd(minor), "outcome": outcome}
    return of(paid, PaymentDisputeClosed, **told)


def a_refund(paid: Any, minor: int, source: str = "merchant") -> RefundRequested:
    return sample(RefundRequested).model_copy(
        update={
            "tenant_id": paid.tenant_id,
            "refund_id": Tx.new_id(),
            "payment_id": paid.payment_id,
            "invoice_id": paid.invoice_id,
            "amount": Amount(amount_minor=minor, asset=paid.amount.asset),
            "source": source,
        }
    )


def said(kind: Any, like: Any, **change: Any) -> Any:
    fields = set(kind.model_fields) & set(type(like).model_fields)
    return sample(kind).model_copy(update={n: getattr(like, n) for n in fields} | change)


def swept(first: Any, *more: Any) -> DepositSwept:
    total = sum(paid.amount.amount_minor for paid in (first, *more))
    return sample(DepositSwept).model_copy(
        update={
            "tenant_id": first.tenant_id,
            "invoice_id": first.invoice_id,
            "wallet_id": first.wallet_id,
            "provider": "evm",
            "amount": Amount(amount_minor=total, asset="USDC"),
            "payments": tuple(paid.payment_id for paid in (first, *more)),
        }
    )


def payout(tenant_id: UUID, kind: Any, payout_id: UUID, minor: int = 500) -> Any:
    return sample(kind).model_copy(
        update={
            "tenant_id": tenant_id,
            "provider_payout_id": payout_id,
            "provider": "stripe",
            "amount": usd(minor),
        }
    )


async def books(auditor: Any, tenant_id: UUID) -> dict[str, int]:
    return {code: net for (code, _), net in (await auditor.balances(tenant_id)).items()}


INVARIANTS = [one for one in (*LEDGER, *LEDGER_ACCOUNTS, *RESERVES) if "%(" not in one.sql]


async def sound(ledger: ServiceUnderTest, auditor: Any) -> None:
    await auditor.sound()
    for one in INVARIANTS:
        sql = one.sql.replace("reserve_ledger.", "").replace("%%", "%")
        assert not await ledger.worker.fetch(sql), one.name
    assert not await ledger.worker.fetch("select error from dead_letter")
    assert all(stated.covered for stated in await ledger.facts(ReserveStated))


async def test_a_card_payment_is_pending_with_its_provider_until_the_funds_are_available(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = at_provider(payer, TEN + 40, fee=33)
    await ledger.receives(paid, paid)
    assert await books(auditor, payer.tenant_id) == {
        "1300": TEN + 40 - 33,
        "2110": -TEN,
        "2500": -40,
        "5100": 33,
    }
    (booked,) = await ledger.facts(FundsBooked)
    assert (booked.template, booked.applied.amount_minor) == ("provider_captured.v1", TEN)
    stated = (await ledger.facts(ReserveStated))[-1]
    assert [(p.account, p.amount.amount_minor) for p in stated.positions[0].reserve] == [
        ("1300", TEN + 40 - 33)
    ]
    await ledger.receives(available(paid), available(paid))
    await ledger.receives(of(paid, PaymentFeeKnown, fee=usd(33)))
    assert await books(auditor, payer.tenant_id) == {
        "1300": TEN + 40 - 33,
        "2100": FEE - TEN,
        "2500": -40,
        "4100": -FEE,
        "5100": 33,
    }
    at = await ledger.worker.fetchval(
        "select debit_minor - credit_minor from account where address = 'provider:stripe:clearing'"
    )
    assert at == TEN + 40 - 33
    await sound(ledger, auditor)


async def test_the_whole_fee_counts_whenever_it_is_known_and_what_was_too_much_comes_back(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = at_provider(payer, fee=30)
    fee = record_of(of(paid, PaymentFeeKnown, fee=usd(35)))
    await ledger.receives(fee)
    assert await books(auditor, payer.tenant_id) == {"1300": -35, "5100": 35}
    await ledger.receives(paid)
    assert (await books(auditor, payer.tenant_id))["5100"] == 35
    await ledger.receives(of(paid, PaymentFeeKnown, fee=usd(20)))
    await ledger.worker.pool.execute("delete from inbox")
    await ledger.receives(fee)
    assert (await books(auditor, payer.tenant_id))["5100"] == 20
    templates = [f.template for f in await ledger.facts(TransactionPosted)]
    assert templates[:3] == [
        "provider_fee_known.v1",
        "provider_captured.v1",
        "provider_fee_returned.v1",
    ]
    await sound(ledger, auditor)


async def test_a_void_gives_what_is_pending_to_the_payer_and_nothing_becomes_available(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    early, late = at_provider(payer), at_provider(payer)
    await ledger.receives(early, late, available(late))
    await ledger.receives(payer.voided(early.invoice_id), payer.voided(late.invoice_id))
    await ledger.receives(available(early))
    assert await books(auditor, payer.tenant_id) == {"1300": 2 * TEN, "2500": -2 * TEN}
    await ledger.receives(a_refund(early, TEN, "payer_credit"))
    assert (await books(auditor, payer.tenant_id))["2400"] == -TEN
    await sound(ledger, auditor)


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_dispute_takes_credit_then_pending_and_gives_back_what_is_won(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, outcome: str
) -> None:
    paid, dispute = at_provider(payer, TEN + 40), Tx.new_id()
    await ledger.receives(paid, disputed(paid, 640, dispute, fee=15))
    assert await books(auditor, payer.tenant_id) == {
        "1300": TEN + 40 - 640 - 15,
        "2110": 600 - TEN,
        "5100": 15,
    }
    await ledger.receives(available(paid))
    assert (await books(auditor, payer.tenant_id))["2100"] == FEE - 400
    end = closed(paid, 640, dispute, outcome)
    await ledger.receives(end, end)
    told = await ledger.facts(ChargebackBooked)
    assert [fact.outcome for fact in told] == ["opened", outcome]
    assert told[1].booked_at > told[0].booked_at
    found = await books(auditor, payer.tenant_id)
    if outcome == "lost":
        assert found["2100"] == FEE - 400
    else:
        assert (found["2100"], found["2500"], found["4100"]) == (FEE - TEN, -40, -FEE)
        assert "2110" not in found
    await sound(ledger, auditor)


async def test_what_the_merchant_has_spent_already_is_the_platforms_loss(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = at_provider(payer)
    await ledger.receives(paid, available(paid))
    spent = a_refund(paid, 700)
    await ledger.receives(
        spent, said(RefundSucceeded, spent, held_at="clearing", provider="stripe")
    )
    await ledger.receives(disputed(paid, 300, Tx.new_id()))
    found = await books(auditor, payer.tenant_id)
    assert (found["5300"], found.get("2100", 0), found.get("1300", 0)) == (FEE, 0, 0)
    await sound(ledger, auditor)


async def test_a_refund_of_what_is_pending_takes_it_from_there_and_comes_back_to_where_it_belongs(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    paid = at_provider(payer)
    wanted, too_much = a_refund(paid, 995), a_refund(paid, 6)
    await ledger.receives(paid, wanted, too_much)
    assert isinstance((await ledger.facts(ReservationEvent))[-1], FundsReservationRefused)
    assert await books(auditor, payer.tenant_id) == {"1300": TEN, "2110": -5, "2400": -995}
    await ledger.receives(available(paid))
    assert (await books(auditor, payer.tenant_id))["4100"] == -5
    await ledger.receives(said(RefundFailed, wanted))
    assert await books(auditor, payer.tenant_id) == {
        "1300": TEN,
        "2100": FEE - TEN,
        "4100": -FEE,
    }
    await sound(ledger, auditor)


async def test_a_deposit_is_spendable_once_it_is_swept_whichever_news_comes_first(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    first = at_address(payer, 4_000_000)
    second = at_address(payer, 7_000_000, first.invoice_id)
    await ledger.receives(first)
    assert await books(auditor, payer.tenant_id) == {"1210": 4_000_000, "2110": -4_000_000}
    await ledger.receives(swept(first, second))
    assert (await books(auditor, payer.tenant_id)).keys() == {"1200", "2100", "4100"}
    await ledger.receives(second)
    found = await books(auditor, payer.tenant_id)
    assert found == {
        "1200": 11_000_000,
        "2100": 150_000 - 10**7,
        "2500": -(10**6),
        "4100": -150_000,
    }
    await ledger.receives(payer.reverted(second))
    await ledger.receives(payer.reverted(first))
    assert await books(auditor, payer.tenant_id) == {}
    await sound(ledger, auditor)


async def test_a_void_deposit_that_was_swept_and_taken_back_leaves_nothing(
    ledger: ServiceUnderTest, payer: Any, auditor: Any
) -> None:
    early, late = at_address(payer, 4_000_000), at_address(payer, 5_000_000)
    await ledger.receives(early, late, swept(late))
    await ledger.receives(payer.voided(early.invoice_id), payer.voided(late.invoice_id))
    assert await books(auditor, payer.tenant_id) == {
        "1200": 5_000_000,
        "1210": 4_000_000,
        "2500": -9_000_000,
    }
    await ledger.receives(payer.reverted(early), payer.reverted(late))
    assert await books(auditor, payer.tenant_id) == {}
    await sound(ledger, auditor)


@pytest.mark.parametrize(
    ("news", "ends"),
    [
        ([ProviderPayoutAnnounced], {"1300": 500, "1310": 500}),
        ([ProviderPayoutArrived, ProviderPayoutAnnounced], {"1100": 500, "1300": 500}),
        ([ProviderPayoutAnnounced, ProviderPayoutArrived], {"1100": 500, "1300": 500}),
        ([ProviderPayoutFailed, ProviderPayoutAnnounced], {"1300": 1000}),
        ([ProviderPayoutAnnounced, ProviderPayoutFailed], {"1300": 1000}),
        ([ProviderPayoutArrived, ProviderPayoutFailed, ProviderPayoutArrived], {"1300": 1000}),
    ],
)
async def test_a_providers_payout_is_in_one_place_whatever_the_order_of_the_news(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, news: list[Any], ends: dict[str, int]
) -> None:
    named = Tx.new_id()
    await ledger.receives(at_provider(payer))
    for kind in news:
        fact = payout(payer.tenant_id, kind, named)
        await ledger.receives(fact, fact)
    found = await books(auditor, payer.tenant_id)
    assert {code: net for code, net in found.items() if code.startswith("1")} == ends
    await sound(ledger, auditor)


async def test_gas_is_a_cost_once_and_what_no_asset_of_ours_paid_is_not_booked(
    ledger: ServiceUnderTest, auditor: Any
) -> None:
    paid = sample(NetworkFeePaid).model_copy(
        update={"tenant_id": PLATFORM, "fee": Amount(amount_minor=7, asset="USDC")}
    )
    unknown = paid.model_copy(update={"fee_id": Tx.new_id(), "fee": None})
    await ledger.receives(paid, unknown, paid)
    await ledger.receives(paid)
    assert await books(auditor, PLATFORM) == {"1220": -7, "5200": 7}
    await sound(ledger, auditor)


def a_world(payer: Any, chance: random.Random) -> list[Any]:
    """Everything that is said of a few payments, each fact once."""
    facts: list[Any] = []
    for _ in range(3):
        paid = at_provider(
            payer, chance.choice([400, TEN, TEN + 250]), fee=chance.choice([None, 9])
        )
        facts.append(paid)
        if chance.random() < 0.7:
            facts.append(of(paid, PaymentFeeKnown, fee=usd(chance.randint(0, 40))))
        if chance.random() < 0.8:
            facts.append(available(paid))
        if chance.random() < 0.3:
            facts.append(payer.voided(paid.invoice_id))
        elif chance.random() < 0.6:
            dispute, minor = Tx.new_id(), chance.randint(1, paid.amount.amount_minor)
            facts.append(disputed(paid, minor, dispute, chance.choice([None, 15])))
            if chance.random() < 0.7:
                facts.append(closed(paid, minor, dispute, chance.choice(["won", "lost"])))
    deposit = at_address(payer, 3_000_000)
    facts += [deposit, swept(deposit)]
    named = Tx.new_id()
    kinds = [ProviderPayoutAnnounced, ProviderPayoutArrived, ProviderPayoutFailed]
    facts += [payout(payer.tenant_id, kind, named, 50) for kind in kinds[: chance.randint(0, 3)]]
    return facts


@pytest.mark.parametrize("seed", range(6))
async def test_doubled_and_shuffled_streams_end_in_balanced_books_and_the_same_money(
    ledger: ServiceUnderTest, new_payer: Any, auditor: Any, seed: int
) -> None:
    in_order, shuffled = new_payer(), new_payer()
    await ledger.receives(*a_world(in_order, random.Random(seed)))
    chance = random.Random(seed)
    facts = [record_of(fact) for fact in a_world(shuffled, chance)]
    stream = chance.sample(facts, len(facts)) + facts
    while stream:
        size = chance.randint(1, 6)
        poll, stream = stream[:size], stream[size:]
        await ledger.receives(*poll, *chance.sample(poll, len(poll)))
        await sound(ledger, auditor)
    plain = await books(auditor, in_order.tenant_id)
    mixed = await books(auditor, shuffled.tenant_id)
    # Who bears a chargeback depends on what the merchant had when it came; the money does not.
    for code in ("1100", "1200", "1210", "1300", "1310", "2300", "2400", "5100"):
        assert plain.get(code, 0) == mixed.get(code, 0), code


class Died(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("point", ["ledger.settled", "ledger.entered", "ledger.stated"])
async def test_a_death_before_the_commit_leaves_nothing_and_the_next_try_books_once(
    ledger: ServiceUnderTest,
    payer: Any,
    auditor: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    paid = at_provider(payer, fee=12)
    records = [record_of(fact) for fact in (paid, available(paid))]

    def die(name: str) -> None:
        if name == point:
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(settling, "failpoint", die)
        patched.setattr(posting, "failpoint", die)
        with pytest.raises(Died):
            await ledger.receives(*records)
    assert await books(auditor, payer.tenant_id) == {}
    await ledger.receives(*records)
    assert (await books(auditor, payer.tenant_id))["2100"] == FEE - TEN
    await sound(ledger, auditor)
