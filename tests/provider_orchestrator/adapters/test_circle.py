"""Circle: the promises of every adapter, and what is Circle's own."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from invoiceos_local.ports import LOOPBACK, free_port
from provider_orchestrator.domain.adapters import (
    ActionKind,
    Answer,
    Kind,
    LineKind,
    NotAuthentic,
    Order,
    ProviderFault,
    Status,
    Webhook,
)
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.circle.adapter import Circle
from provider_orchestrator.providers.circle.settings import CircleSettings
from provider_orchestrator.providers.circle.webhooks import STRANGE_KEYS_PER_MINUTE

from .conformance import Conformance
from .stage import Receiver, Sandbox, Stage, named

KEY = {"Authorization": "Bearer TEST_API_KEY:adapter"}
TOPIC = "arn:aws:sns:us-east-1:000000000000:provider-sandbox"
MASTER = "1000000001"
DAY = 86_400
ADDRESS = "0x" + "ab" * 20


def funded(sandbox: Sandbox) -> None:
    """Money of our own: what is given back is more than what came, by Circle's fee."""
    if sandbox.ok("GET", "/circle/v1/businessAccount/banks/wires", headers=KEY)["data"]:
        return
    account = {
        "idempotencyKey": str(uuid4()),
        "accountNumber": "12340010",
        "routingNumber": "121000248",
        "billingDetails": {"name": "Babbage & Co", "country": "US"},
        "bankAddress": {"bankName": "BANK", "country": "US"},
    }
    path = "/circle/v1/businessAccount/banks/wires"
    wire = sandbox.ok("POST", path, json=account, headers=KEY)["data"]
    sandbox.advance(60)
    money = {"amount": "50000.00", "currency": "USD"}
    body = {"trackingRef": wire["trackingRef"], "amount": money}
    sandbox.ok("POST", "/circle/v1/mocks/payments/wire", json=body, headers=KEY)
    sandbox.advance(300)


class CircleStage(Stage):
    provider, rail, method = "circle", "usdc", "stablecoin"
    collects, refunds = "paymentIntents.create", "paymentIntents.refund"
    key_lives_s = 23 * 3600
    old_after_s = DAY + 1

    def make(self, **settings: Any) -> Circle:
        chosen: dict[str, Any] = {
            "environment": "test",
            "circle_api_key": "TEST_API_KEY:adapter",
            "circle_url": f"{self.wire.url}/circle",
            "circle_wallet_id": MASTER,
            "circle_chain": "ETH",
            "circle_topics": (TOPIC,),
            "circle_certificate_hosts": (urlsplit(self.sandbox.url).netloc,),
        }
        for name, value in settings.items():
            chosen[name if name in CircleSettings.model_fields else f"circle_{name}"] = value
        return Circle(self.session, CircleSettings(**chosen), self.sandbox.now)

    def wrong_credentials(self) -> dict[str, Any]:
        return {"api_key": "nothing"}

    def reference(self, order: Order, answer: Answer) -> str:
        """Circle keeps no reference of ours but the key."""
        del answer
        return str(order.key)

    async def offered(self, order: Order, begun: Answer) -> Answer:
        if begun.status is not Status.PROCESSING:
            return begun
        await asyncio.to_thread(self.sandbox.advance, 3)
        return await self.adapter.find(named(order, begun))

    async def pay(self, answer: Answer, minor: int = 12_345) -> None:
        await self.deposit(answer, minor)
        await asyncio.to_thread(self.sandbox.advance, 20)

    async def deposit(self, answer: Answer, minor: int) -> None:
        assert answer.action is not None
        body = {"address": answer.action.address, "amount": minor}
        await asyncio.to_thread(
            self.sandbox.ok, "POST", "/sandbox/simulate/circle/deposit", json=body
        )

    async def subscribe(self, url: str, version: int = 2) -> dict[str, Any]:
        path = f"/circle/v{version}/notifications/subscriptions"
        body = {"endpoint": url, "notificationTypes": ["*"]}
        self.sandbox.ok("POST", path, json=body, headers=KEY)
        return {}

    def unsubscribe(self) -> None:
        for version in (1, 2):
            path = f"/circle/v{version}/notifications/subscriptions"
            for one in self.sandbox.ok("GET", path, headers=KEY)["data"]:
                self.sandbox.ok("DELETE", f"{path}/{one['id']}", headers=KEY)

    def distort_status(self, document: dict[str, Any]) -> None:
        if isinstance(document["data"], dict):
            document["data"]["timeline"][0]["status"] = "galactic"

    def distort_amount(self, document: dict[str, Any]) -> None:
        if isinstance(document["data"], dict):
            document["data"]["amountPaid"]["amount"] = 123.45

    def forged(self, webhook: Webhook) -> list[Webhook]:
        changes = (
            {"x-circle-key-id": str(uuid4())},
            {"x-circle-key-id": "../businessAccount/balances"},
            {"x-circle-signature": b64encode(b"nothing").decode()},
            {"x-circle-signature": "no base 64"},
            {"x-circle-signature": ""},
        )
        return [replace(webhook, headers={**webhook.headers, **change}) for change in changes]


@pytest.fixture
def stage(sandbox, wire, session) -> Any:
    funded(sandbox)
    made = CircleStage(sandbox, wire, session)
    yield made
    made.unsubscribe()


class TestCircle(Conformance):
    @pytest.fixture
    def stage(self, stage: Stage) -> Stage:
        return stage


class TestCircleAlone:
    """What is Circle's own."""

    async def begun(self, stage: CircleStage, **more: Any) -> tuple[Order, Answer]:
        order = stage.order(**more)
        answer = await stage.offered(order, await stage.adapter.send(order))
        return named(order, answer), answer

    async def test_the_payer_is_asked_once_the_address_is_there(self, stage) -> None:
        order = stage.order()
        answer = await stage.adapter.send(order)
        assert (answer.status, answer.action) == (Status.PROCESSING, None)
        offered = await stage.offered(order, answer)
        assert offered.action is not None
        assert (offered.action.kind, offered.action.chain) == (ActionKind.DEPOSIT, "ETH")
        assert offered.action.expires_at > stage.sandbox.now()

    async def test_what_came_counts_in_part_too_much_and_late(self, stage) -> None:
        order, offered = await self.begun(stage)
        await stage.pay(offered, 5_000)
        assert (await stage.adapter.find(order)).status is Status.REQUIRES_ACTION
        await asyncio.to_thread(stage.sandbox.advance, 8 * 3600)
        part = await stage.adapter.find(order)
        assert (part.status, part.amount_minor, part.cause) == (
            Status.SUCCEEDED,
            5_000,
            "underpaid",
        )
        order, offered = await self.begun(stage)
        await stage.pay(offered, 20_000)
        much = await stage.adapter.find(order)
        assert (much.status, much.amount_minor) == (Status.SUCCEEDED, 20_000)
        order, offered = await self.begun(stage)
        await asyncio.to_thread(stage.sandbox.advance, 8 * 3600)
        gone = await stage.adapter.find(order)
        assert (gone.status, gone.cannot_happen) == (Status.CANCELED, False)
        await stage.pay(offered)
        late = await stage.adapter.find(order)
        assert (late.status, late.amount_minor) == (Status.SUCCEEDED, 12_345)

    async def test_what_came_is_ours_when_it_is_paid_and_more_may_come(self, stage) -> None:
        order, offered = await self.begun(stage)
        began = stage.sandbox.now()
        await stage.pay(offered)
        paid = await stage.adapter.find(named(order, offered))
        assert began < paid.available_at <= stage.sandbox.now()
        await stage.pay(offered, 500)
        more = await stage.adapter.find(named(order, offered))
        assert (more.amount_minor, more.fee_minor > paid.fee_minor) == (12_845, True)
        assert more.available_at > paid.available_at
        came = await stage.adapter.deposited_since(began - timedelta(hours=1))
        assert came[str(offered.provider_reference)] == 12_845

    async def test_money_on_its_way_is_waited_for_when_it_is_given_up(self, stage) -> None:
        order, offered = await self.begun(stage)
        void = stage.order(Kind.VOID, parent_reference=order.provider_reference)
        assert (await stage.adapter.find(void)).status is Status.NOT_FOUND
        await stage.deposit(offered, 12_345)
        assert (await stage.adapter.send(void)).status is Status.PROCESSING
        assert (await stage.adapter.find(void)).status is Status.PROCESSING
        stage.sandbox.advance(20)
        done = await stage.adapter.find(void)
        assert (done.status, done.amount_minor) == (Status.SUCCEEDED, 12_345)
        other, _ = await self.begun(stage)
        void = stage.order(Kind.VOID, parent_reference=other.provider_reference)
        for _ in range(2):
            assert (await stage.adapter.send(void)).status is Status.CANCELED
        assert (await stage.adapter.find(void)).status is Status.CANCELED

    async def test_money_of_several_senders_goes_back_only_where_somebody_says(self, stage) -> None:
        order, offered = await self.begun(stage)
        for minor in (5_000, 7_345):
            await stage.pay(offered, minor)
        refund = stage.order(
            Kind.REFUND, amount_minor=100, parent_reference=order.provider_reference
        )
        answer = await stage.adapter.send(refund)
        assert (answer.outcome, answer.cause) == (Outcome.OUR_FAULT, "several_senders")
        said = replace(refund, destination={"address": ADDRESS, "chain": "ETH"})
        assert (await stage.adapter.send(said)).status is Status.PROCESSING

    async def test_nothing_is_reserved_and_nothing_unsayable_is_sent(self, stage) -> None:
        stage.sent()
        for order, cause in (
            (stage.order(manual_capture=True), "nothing_to_authorize"),
            (stage.order(Kind.CAPTURE), "nothing_to_capture"),
            (stage.order(asset="JPY"), "amount_not_representable"),
            (stage.order(Kind.PAYOUT), "destination_missing"),
        ):
            answer = await stage.adapter.send(order)
            assert (answer.outcome, answer.cause) == (Outcome.OUR_FAULT, cause)
        assert stage.sent() == []

    async def test_tokens_are_written_with_two_decimals_or_not_at_all(self, stage) -> None:
        adapter = stage.make(assets="USDC")
        order = stage.order(asset="USDC", amount_minor=1_230_000)
        assert (await adapter.send(order)).outcome is Outcome.OK
        assert json.loads(stage.sent()[-1].body)["amount"] == {"amount": "1.23", "currency": "USD"}
        finer = await adapter.send(stage.order(asset="USDC", amount_minor=1))
        assert (finer.outcome, finer.cause) == (Outcome.OUR_FAULT, "amount_not_representable")
        assert {one.asset for one in await adapter.holdings()} == {"USDC"}

    @pytest.mark.parametrize("assets", ["USD,USDC", "GBP", "NOPE"])
    def test_each_currency_of_circle_is_one_asset_of_ours(self, assets) -> None:
        with pytest.raises(ValidationError):
            CircleSettings(environment="test", circle_assets=assets)

    async def test_a_payout_is_paid_once_and_is_on_the_statement(self, stage) -> None:
        order = stage.order(
            Kind.PAYOUT, amount_minor=5_000, destination={"address": ADDRESS, "chain": "ETH"}
        )
        since = stage.sandbox.now()
        stage.sandbox.faults("circle", "transfers.create", response_lost=1)
        assert (await stage.adapter.send(order)).outcome is Outcome.UNKNOWN
        stage.sandbox.no_faults()
        found = await stage.adapter.find(order)
        assert (found.status, found.cannot_happen) == (Status.NOT_FOUND, False)
        begun = await stage.adapter.send(order)
        assert begun.status is Status.PROCESSING
        stage.sandbox.advance(15)
        done = await stage.adapter.find(named(order, begun))
        assert (done.status, done.amount_minor) == (Status.SUCCEEDED, 5_000)
        told = stage.sandbox.truth(order.key)
        assert told["transferred_minor"] == 5_000
        until = stage.sandbox.now() + timedelta(seconds=1)
        lines = [line async for line in stage.adapter.statement(since, until)]
        mine = next(line for line in lines if line.id == begun.provider_reference)
        assert (mine.kind, mine.gross_minor) == (LineKind.PAYOUT, -5_000)

    async def test_a_payout_that_is_denied_has_failed(self, stage) -> None:
        order = stage.order(Kind.PAYOUT, destination={"address": ADDRESS, "chain": "ETH"})
        stage.sandbox.faults("circle", "transfers.create", declined=1)
        begun = await stage.adapter.send(order)
        stage.sandbox.advance(15)
        done = await stage.adapter.find(named(order, begun))
        assert (done.status, done.cause) == (Status.FAILED, "transfer_denied")

    async def test_a_key_that_was_used_for_another_is_unknown(self, stage) -> None:
        order = stage.order()
        await stage.adapter.send(order)
        changed = await stage.adapter.send(replace(order, amount_minor=1))
        assert (changed.outcome, changed.status) == (Outcome.UNKNOWN, None)

    async def test_an_intent_without_a_name_cannot_be_paid_after_its_time(self, stage) -> None:
        order = stage.order()
        stage.sandbox.advance(48 * 3600)
        assert (await stage.adapter.find(order)).cannot_happen

    async def test_a_list_is_read_to_its_last_page(self, stage) -> None:
        order, offered = await self.begun(stage, amount_minor=60)
        for _ in range(60):
            await stage.deposit(offered, 1)
        await asyncio.to_thread(stage.sandbox.advance, 20)
        done = await stage.adapter.find(order)
        assert (done.amount_minor, done.fee_minor) == (60, 0)
        assert "pageAfter" in dict(stage.sent()[-1].query)

    async def test_envelopes_of_sns_are_confirmed_and_believed_only_whole(
        self, stage, receiver: Receiver
    ) -> None:
        await stage.subscribe(receiver.url, version=1)
        await stage.deliver()
        (question,) = receiver.taken
        asked = await stage.adapter.hint(question)
        assert asked.event_type == "SubscriptionConfirmation"
        assert asked.confirm_url is not None
        async with stage.session.get(asked.confirm_url) as answer:
            assert answer.status == 200
        receiver.taken.clear()
        stage.sandbox.plan("circle", webhooks={"duplicate": 1})
        order, offered = await self.begun(stage)
        await stage.pay(offered)
        await stage.deliver()
        hints = [await stage.adapter.hint(webhook) for webhook in receiver.taken]
        about = [hint for hint in hints if order.provider_reference in hint.references]
        assert {hint.event_type for hint in about} == {"paymentIntents", "payments"}
        assert all([hint.event_id for hint in hints].count(one.event_id) == 2 for one in about)

        webhook = receiver.taken[0]
        told = json.loads(webhook.body)
        host = urlsplit(stage.sandbox.url).netloc
        for change in (
            {"Message": told["Message"].replace("paymentIntent", "paymentintent")},
            {"MessageId": str(uuid4())},
            {"TopicArn": "arn:aws:sns:us-east-1:1:mine"},
            {"SignatureVersion": "3"},
            {"Type": "UnsubscribeConfirmation"},
            {"Signature": "no base 64"},
            {"Subject": "added"},
            {"SigningCertURL": f"{stage.sandbox.url}/sandbox"},
            {"SigningCertURL": f"http://{host}@127.0.0.1:1/certificate.pem"},
            {"SigningCertURL": "http://[nowhere"},
        ):
            forged = replace(webhook, body=json.dumps(told | change).encode())
            with pytest.raises(NotAuthentic):
                await stage.adapter.hint(forged)
        elsewhere = stage.make(topics="arn:aws:sns:us-east-1:1:mine")
        strangers = stage.make(certificate_hosts="sns.us-east-1.amazonaws.com")
        for adapter in (elsewhere, strangers):
            with pytest.raises(NotAuthentic):
                await adapter.hint(webhook)
        await asyncio.to_thread(stage.sandbox.advance, stage.old_after_s)
        with pytest.raises(NotAuthentic):
            await stage.adapter.hint(webhook)

    async def test_made_up_keys_do_not_make_us_ask_for_ever(self, stage) -> None:
        webhook = Webhook(b"{}", {"x-circle-signature": "YWJj", "x-circle-key-id": ""})
        stage.sent()
        for _ in range(STRANGE_KEYS_PER_MINUTE):
            strange = replace(webhook, headers={**webhook.headers, "x-circle-key-id": str(uuid4())})
            with pytest.raises(NotAuthentic):
                await stage.adapter.hint(strange)
        with pytest.raises(ProviderFault):
            await stage.adapter.hint(strange)
        assert len(stage.sent()) == STRANGE_KEYS_PER_MINUTE


@pytest.fixture
async def amazon() -> AsyncIterator[tuple[str, rsa.RSAPrivateKey]]:
    """Somebody who signs as SNS does, and serves the certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2029, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    raw = certificate.public_bytes(Encoding.PEM)

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=raw)

    app = web.Application()
    app.router.add_get("/certificate.pem", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    yield f"{LOOPBACK}:{port}", key
    await runner.cleanup()


@pytest.mark.parametrize(("version", "digest"), [("1", hashes.SHA1()), ("2", hashes.SHA256())])
async def test_both_versions_of_amazons_signatures_and_only_confirmations_of_its_own(
    stage, amazon, version, digest
) -> None:
    host, key = amazon
    adapter = stage.make(certificate_hosts=host)
    envelope = {
        "Message": "Confirm",
        "MessageId": str(uuid4()),
        "SubscribeURL": f"http://{host}/confirm",
        "Timestamp": stage.sandbox.now().isoformat(),
        "Token": "t",
        "TopicArn": TOPIC,
        "Type": "SubscriptionConfirmation",
    }

    def signed(**change: str) -> Webhook:
        told = envelope | change
        text = "".join(f"{name}\n{told[name]}\n" for name in sorted(told)).encode()
        told |= {
            "Signature": b64encode(key.sign(text, padding.PKCS1v15(), digest)).decode(),
            "SignatureVersion": version,
            "SigningCertURL": f"http://{host}/certificate.pem",
        }
        return Webhook(json.dumps(told).encode(), {"x-amz-sns-message-type": told["Type"]})

    assert (await adapter.hint(signed())).confirm_url == envelope["SubscribeURL"]
    for change in ({"SubscribeURL": "http://127.0.0.1:1/x"}, {"Timestamp": "yesterday"}):
        with pytest.raises(NotAuthentic):
            await adapter.hint(signed(**change))
    other = {"1": "2", "2": "1"}[version]
    wrong = json.loads(signed().body) | {"SignatureVersion": other}
    with pytest.raises(NotAuthentic):
        await adapter.hint(Webhook(json.dumps(wrong).encode(), signed().headers))
