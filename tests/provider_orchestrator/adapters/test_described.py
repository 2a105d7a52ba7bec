"""What adapters send fits what providers publish: every request of a payment's whole life."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provider_orchestrator.domain.adapters import Answer, Kind, Order, Status

from .described import Unfit, checked, missing
from .stage import Exchanged, Stage, finish, named
from .test_circle import ADDRESS, CircleStage, funded
from .test_paypal import PayPalStage
from .test_stripe import StripeStage


@pytest.fixture(scope="module", autouse=True)
def what_is_not_checked(request: pytest.FixtureRequest) -> None:
    """A machine that has no description of a provider says so, and runs the rest."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for line in missing():
            print(line, file=sys.stderr)


async def lived(stage: Stage, payout: dict[str, str], **more: Any) -> list[Exchanged]:
    """A payment from the first call to its refund, another that is given up, and the reports."""
    since = stage.sandbox.now()
    order = stage.order(**more)
    begun = await stage.offered(order, await stage.adapter.send(order))
    await stage.pay(begun)
    done = await finish(stage, named(order, begun))
    if done.status is Status.AUTHORIZED:
        part = stage.order(Kind.CAPTURE, amount_minor=10_000, **parent(done))
        await stage.adapter.send(part)
        await stage.adapter.find(part)
    refund = stage.order(Kind.REFUND, amount_minor=345, **parent(done))
    given = await stage.adapter.send(refund)
    await stage.adapter.find(named(refund, given))
    other = stage.order(**more)
    begun = await stage.offered(other, await stage.adapter.send(other))
    if more.get("manual_capture"):
        await stage.pay(begun)
        begun = await finish(stage, named(other, begun))
    void = stage.order(Kind.VOID, **parent(begun))
    await stage.adapter.send(void)
    await stage.adapter.find(void)
    await stage.adapter.find(other)
    if payout:
        paid = stage.order(Kind.PAYOUT, destination=payout)
        sent = await stage.adapter.send(paid)
        await stage.adapter.find(named(paid, sent))
    await reported(stage, since)
    return stage.sent()


async def reported(stage: Stage, since: Any) -> None:
    until = stage.sandbox.now() + timedelta(seconds=1)
    _ = [line async for line in stage.adapter.statement(since, until)]
    await stage.adapter.holdings()
    await stage.adapter.probe(stage.rail)


def parent(answer: Answer) -> dict[str, Any]:
    return {"parent_reference": answer.provider_reference, "parent_minor": 12_345}


def fits(sent: Sequence[Exchanged], paths: set[str]) -> None:
    """All of it, and these endings of paths were among it, each by POST."""
    assert sent
    for one in sent:
        checked(one)
    posted = {one.path.rpartition("/")[2] for one in sent if one.method == "POST"}
    assert paths <= posted


def bent_one(sent: Sequence[Exchanged], ending: str, before: bytes, after: bytes) -> None:
    """The check sees what is wrong: a request with this change is not taken."""
    one = next(one for one in sent if one.path.endswith(ending) and before in one.body)
    if checked(one):  # where there is a description of it
        with pytest.raises(Unfit):
            checked(replace(one, body=one.body.replace(before, after, 1)))


async def test_stripe(sandbox, wire, session) -> None:
    stage = StripeStage(sandbox, wire, session)
    sent = await lived(stage, {})
    sent += await lived(stage, {}, manual_capture=True)
    order: Order = stage.order(instrument="pm_card_visa")
    await stage.adapter.send(order)
    await asyncio.to_thread(stage.sandbox.advance, 60)
    await stage.adapter.find(order)
    sent += stage.sent()
    fits(sent, {"sessions", "payment_intents", "capture", "refunds", "cancel", "expire"})
    bent_one(sent, "/sessions", b"mode=payment", b"mode=gift")
    bent_one(sent, "/payment_intents", b"amount=12345", b"amount=123.45")
    bent_one(sent, "/refunds", b"amount=345", b"amount=345&unknown=1")


async def test_paypal(sandbox, wire, session) -> None:
    stage = PayPalStage(sandbox, wire, session)
    sent = await lived(stage, {"email": "ada@example.test"})
    sent += await lived(stage, {}, manual_capture=True)
    fits(sent, {"orders", "capture", "authorize", "refund", "payouts", "void"})
    bent_one(sent, "/orders", b'"CAPTURE"', b'"GRAB"')
    bent_one(sent, "/orders", b'"USD"', b'"USDOLLAR"')
    bent_one(sent, "/refund", b'"3.45"', b"3.45")


async def test_circle(sandbox, wire, session) -> None:
    funded(sandbox)
    stage = CircleStage(sandbox, wire, session)
    sent = await lived(stage, {"address": ADDRESS, "chain": "ETH"})
    fits(sent, {"paymentIntents", "expire", "refund", "transfers"})
    bent_one(sent, "/paymentIntents", b'"ETH"', b'"MOON"')
    bent_one(sent, "/paymentIntents", b'"123.45"', b"123.45")
    bent_one(sent, "/refund", b'"destination"', b'"target"')
