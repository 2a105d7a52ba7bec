"""What every adapter promises; each one's test inherits it, against a provider that is played."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provider_orchestrator.domain.adapters import (
    ActionKind,
    Answer,
    Kind,
    LineKind,
    NotAuthentic,
    Order,
    Status,
    Webhook,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.exchange import Request, exchange

from .stage import Receiver, Stage, bent, finish, named, replaced


class Promises:
    """What every adapter promises, whoever is behind it; `stage` says who."""

    @pytest.fixture
    def stage(self) -> Stage:
        raise NotImplementedError

    async def paid(self, stage: Stage, **more: Any) -> tuple[Order, Answer]:
        order = stage.order(**more)
        begun = await stage.offered(order, await stage.adapter.send(order))
        assert begun.status is Status.REQUIRES_ACTION, begun
        order = named(order, begun)
        await stage.pay(begun)
        return order, await finish(stage, order)

    def captured(self, stage: Stage, order: Order, answer: Answer) -> int:
        told = stage.sandbox.truth(stage.reference(order, answer))
        assert len(told.get("payments", ())) <= 1
        return int(told.get("captured_minor", 0))

    async def test_a_payment_is_asked_for_paid_and_found(self, stage: Stage) -> None:
        order = stage.order()
        begun = await stage.offered(order, await stage.adapter.send(order))
        assert (begun.outcome, begun.status) == (Outcome.OK, Status.REQUIRES_ACTION)
        assert begun.action is not None
        if begun.action.kind is ActionKind.REDIRECT:
            assert begun.action.url
        else:
            assert begun.action.address
            assert begun.action.chain
        waiting = await stage.adapter.find(named(order, begun))
        assert waiting.status is Status.REQUIRES_ACTION
        assert self.captured(stage, order, begun) == 0

        await stage.pay(waiting)
        done = await finish(stage, named(order, begun))
        assert (done.outcome, done.status) == (Outcome.OK, Status.SUCCEEDED)
        assert (done.amount_minor, done.asset) == (order.amount_minor, stage.asset)
        assert done.fee_minor is not None
        assert stage.takes_a_fee == (0 < done.fee_minor < order.amount_minor)
        assert self.captured(stage, order, begun) == order.amount_minor
        again = await stage.adapter.find(named(order, begun))
        assert (again.status, again.amount_minor) == (Status.SUCCEEDED, order.amount_minor)

    async def test_the_same_order_sent_twice_is_one_payment(self, stage: Stage) -> None:
        order = stage.order()
        first, second = [await stage.adapter.send(order) for _ in range(2)]
        assert first.provider_reference == second.provider_reference
        await stage.pay(await stage.offered(order, second))
        done = await finish(stage, named(order, first))
        assert done.status is Status.SUCCEEDED
        await stage.adapter.send(named(order, first))
        assert self.captured(stage, order, first) == order.amount_minor

    async def test_without_a_connection_nothing_was_sent(self, stage: Stage) -> None:
        nobody = stage.make(url="http://127.0.0.1:1")
        order = stage.order()
        assert (await nobody.send(order)).outcome is Outcome.INFRA
        asked = await nobody.find(named(order, Answer(Outcome.OK, provider_reference="x")))
        assert (asked.outcome, asked.status) == (Outcome.UNKNOWN, None)

    @pytest.mark.parametrize(
        ("status", "raw"),
        [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (404, b"<html>"), (302, b""), (502, b"{}")],
    )
    async def test_an_answer_that_makes_no_sense_is_unknown(
        self, stage: Stage, status: int, raw: bytes
    ) -> None:
        await stage.adapter.probe(stage.rail)
        stage.wire.distortion = replaced(status, raw)
        answer = await stage.adapter.send(stage.order())
        assert (answer.outcome, answer.status) == (Outcome.UNKNOWN, None)

    async def test_a_probe_moves_nothing(self, stage: Stage) -> None:
        stage.sent()
        assert (await stage.adapter.probe(stage.rail)).outcome is Outcome.OK
        sent = stage.sent()
        assert sent
        assert all(stage.only_reads(one) for one in sent)

    async def test_the_statement_has_what_was_paid(self, stage: Stage) -> None:
        since = stage.now()
        order, done = await self.paid(stage)
        until = stage.now() + timedelta(seconds=1)
        lines = [one async for one in stage.adapter.statement(since, until)]
        assert [one.at for one in lines] == sorted(one.at for one in lines)
        payment = next(one for one in lines if one.gross_minor == order.amount_minor)
        assert (payment.kind, payment.asset) == (LineKind.PAYMENT, stage.asset)
        assert payment.fee_minor == done.fee_minor
        assert len({one.id for one in lines}) == len(lines)

    async def test_what_it_holds_grows_by_what_came(self, stage: Stage) -> None:
        async def held() -> int:
            found = {one.asset: one for one in await stage.adapter.holdings()}
            mine = found.get(stage.asset)
            return mine.available_minor + mine.pending_minor if mine else 0

        before = await held()
        order, done = await self.paid(stage)
        assert done.fee_minor is not None
        assert await held() - before == order.amount_minor - done.fee_minor

    async def test_what_nobody_signed_points_at_nothing(self, stage: Stage) -> None:
        with pytest.raises(NotAuthentic):
            await stage.adapter.hint(Webhook(b'{"id":"evt_1"}', {}))


class Conformance(Promises):
    """What a payment service provider promises besides, with refunds, faults and webhooks."""

    # --- A payment's life --------------------------------------------------------------------

    async def test_an_order_that_outlived_its_key_is_not_sent(self, stage: Stage) -> None:
        old = stage.order(created_at=stage.sandbox.now() - timedelta(seconds=stage.key_lives_s))
        stage.sent()
        answer = await stage.adapter.send(old)
        assert (answer.outcome, answer.cause) == (Outcome.UNKNOWN, "key_expired")
        assert stage.sent() == []

    async def test_a_refund_gives_back_a_part_and_then_the_rest(self, stage: Stage) -> None:
        order, done = await self.paid(stage)
        parent = {
            "parent_reference": done.provider_reference,
            "parent_minor": order.amount_minor,
        }
        for minor in (2_345, 10_000):
            refund = stage.order(Kind.REFUND, amount_minor=minor, **parent)
            answer = await self.settled(stage, refund, await stage.adapter.send(refund))
            assert (answer.status, answer.amount_minor) == (Status.SUCCEEDED, minor)
            again = await stage.adapter.send(refund)
            assert again.provider_reference == answer.provider_reference
        told = stage.sandbox.truth(stage.reference(order, done))
        assert told["refunded_minor"] == order.amount_minor
        too_much = stage.order(Kind.REFUND, amount_minor=1, **parent)
        refused = await stage.adapter.send(too_much)
        assert refused.outcome in (Outcome.DECLINED, Outcome.OUR_FAULT)
        told = stage.sandbox.truth(stage.reference(order, done))
        assert told["refunded_minor"] == order.amount_minor

    async def settled(self, stage: Stage, order: Order, answer: Answer) -> Answer:
        """An answer once time has decided it."""
        if answer.status is Status.PROCESSING:
            stage.sandbox.advance(3600)
            return await stage.adapter.find(named(order, answer))
        return answer

    # --- Answers that do not come ------------------------------------------------------------

    @pytest.mark.parametrize("fault", ["response_lost", "error_after"])
    async def test_a_payment_whose_answer_was_lost_is_unknown_until_it_is_found(
        self, stage: Stage, fault: str
    ) -> None:
        order = stage.order()
        stage.sandbox.faults(stage.provider, stage.collects, **{fault: 1})
        lost = await stage.adapter.send(order)
        assert (lost.outcome, lost.status) == (Outcome.UNKNOWN, None)
        stage.sandbox.no_faults()
        found = await stage.adapter.send(order)
        if found.status is None:
            assert found.outcome is Outcome.UNKNOWN
            found = await stage.adapter.find(order)
        found = await stage.offered(order, found)
        assert found.status is Status.REQUIRES_ACTION
        await stage.pay(found)
        done = await finish(stage, named(order, found))
        assert done.status is Status.SUCCEEDED
        assert self.captured(stage, order, found) == order.amount_minor

    async def test_a_refund_whose_answer_was_lost_is_given_once(self, stage: Stage) -> None:
        order, done = await self.paid(stage)
        refund = stage.order(
            Kind.REFUND, amount_minor=2_345, parent_reference=done.provider_reference
        )
        stage.sandbox.faults(stage.provider, stage.refunds, response_lost=1)
        lost = await stage.adapter.send(refund)
        assert (lost.outcome, lost.status) == (Outcome.UNKNOWN, None)
        stage.sandbox.no_faults()
        found = await stage.adapter.find(refund)
        assert found.status is not Status.NOT_FOUND or not found.cannot_happen
        again = await self.settled(stage, refund, await stage.adapter.send(refund))
        assert (again.status, again.amount_minor) == (Status.SUCCEEDED, 2_345)
        told = stage.sandbox.truth(stage.reference(order, done))
        assert told["refunded_minor"] == 2_345

    async def test_a_request_that_takes_too_long_may_have_happened(self, stage: Stage) -> None:
        order = stage.order()
        impatient = stage.make(timeout_s=0.15)
        await impatient.probe(stage.rail)
        stage.sandbox.faults(stage.provider, stage.collects, hang=1, hang_ms=400, effect="late")
        answer = await impatient.send(order)
        assert (answer.outcome, answer.cause) == (Outcome.UNKNOWN, "timeout")
        not_yet = await stage.adapter.find(order)
        assert not not_yet.cannot_happen
        assert not_yet.status in (None, Status.NOT_FOUND)
        await asyncio.sleep(0.5)
        stage.sandbox.no_faults()
        found = await stage.offered(order, await stage.adapter.send(order))
        assert found.status is Status.REQUIRES_ACTION

    async def test_a_provider_that_is_away_is_unknown_and_nothing_is_proved(
        self, stage: Stage
    ) -> None:
        order = stage.order()
        stage.sandbox.faults(stage.provider, stage.collects, unavailable=1)
        answer = await stage.adapter.send(order)
        assert (answer.outcome, answer.status) == (Outcome.UNKNOWN, None)
        stage.sandbox.no_faults()
        absent = await stage.adapter.find(order)
        assert not absent.cannot_happen
        assert absent.status in (None, Status.NOT_FOUND)

    async def test_too_many_requests_wait_as_long_as_the_provider_says(self, stage: Stage) -> None:
        stage.sandbox.faults(stage.provider, stage.collects, throttled=1, retry_after_s=7)
        answer = await stage.adapter.send(stage.order())
        assert (answer.outcome, answer.retry_after_s) == (Outcome.THROTTLED, 7)

    async def test_refused_credentials_are_told_as_such(self, stage: Stage) -> None:
        stranger = stage.make(**stage.wrong_credentials())
        assert (await stranger.send(stage.order())).outcome is Outcome.AUTH
        assert (await stranger.probe(stage.rail)).outcome is Outcome.AUTH

    async def test_an_unknown_word_is_no_success(self, stage: Stage) -> None:
        order, done = await self.paid(stage)
        stage.wire.distortion = bent(stage.distort_status)
        found = await stage.adapter.find(order)
        assert (found.outcome, found.status) == (Outcome.UNKNOWN, None), done

    async def test_an_amount_that_is_none_is_no_success(self, stage: Stage) -> None:
        order, _ = await self.paid(stage)
        stage.wire.distortion = bent(stage.distort_amount)
        found = await stage.adapter.find(order)
        assert (found.outcome, found.status) == (Outcome.UNKNOWN, None)

    async def test_in_production_the_sandbox_is_refused(self, stage: Stage) -> None:
        request = Request("GET", f"{stage.sandbox.url}/{stage.provider}/v1/anything")
        reply = await exchange(stage.session, request, in_production=True)
        assert (reply.outcome, reply.cause) == (Outcome.AUTH, "provider_sandbox")
        with pytest.raises(ValueError, match="https"):
            stage.make(environment="production")

    async def test_the_statement_has_what_was_given_back(self, stage: Stage) -> None:
        since = stage.now()
        _, done = await self.paid(stage)
        refund = stage.order(
            Kind.REFUND, amount_minor=345, parent_reference=done.provider_reference
        )
        await self.settled(stage, refund, await stage.adapter.send(refund))
        until = stage.now() + timedelta(seconds=1)
        lines = [one async for one in stage.adapter.statement(since, until)]
        given = next(one for one in lines if one.gross_minor == -345)
        assert given.kind is LineKind.REFUND

    # --- Webhooks ----------------------------------------------------------------------------

    async def test_a_webhook_points_at_the_payment_and_a_forged_one_at_nothing(
        self, stage: Stage, receiver: Receiver
    ) -> None:
        listening = stage.make(**await stage.subscribe(receiver.url))
        stage.sandbox.plan(stage.provider, webhooks={"duplicate": 1})
        receiver.taken.clear()
        order, _ = await self.paid(stage)
        await stage.deliver()
        hints = [await listening.hint(webhook) for webhook in receiver.taken]
        ours = {str(order.id), order.provider_reference}
        about = [hint for hint in hints if ours & {*hint.references}]
        assert len(about) >= 2
        assert all([hint.event_id for hint in hints].count(one.event_id) == 2 for one in about)

        webhook = receiver.taken[0]
        forged = [
            replace(webhook, body=webhook.body + b" "),
            replace(webhook, body=webhook.body.replace(b'"', b"'", 2)),
            replace(webhook, headers={}),
            *stage.forged(webhook),
        ]
        for one in forged:
            with pytest.raises(NotAuthentic):
                await listening.hint(one)
        if stage.old_after_s:
            await asyncio.to_thread(stage.sandbox.advance, stage.old_after_s)
            with pytest.raises(NotAuthentic):
                await listening.hint(webhook)
