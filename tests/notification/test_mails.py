"""E-mails through a real SMTP server: one a cause, to whom the invoice names, nothing injected."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from chassis.sealing import Sealer
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssued,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
)
from invoiceos_contracts.notification_v1 import NotificationFailed, NotificationSent
from invoiceos_local.resolver import Infrastructure
from notification.providers.mail_loop import Postman
from notification.providers.smtp import MailServer
from notification.settings import NotificationSettings
from testkit.service import ServiceUnderTest, a_tenant, record_of

from .conftest import PERSONAL_KEY, Client, make_due, make_settings
from .events import issued, sealed, settled

Inbox = Callable[[str], Any]


@pytest.fixture
def postman(unit: ServiceUnderTest, settings: NotificationSettings) -> Postman:
    return Postman(unit.worker, MailServer(settings, Sealer(PERSONAL_KEY)), settings)


@pytest.fixture
def inbox(infra: Infrastructure) -> Inbox:
    async def mails_of(address: str) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as http:
            found = await http.get(f"{infra.mail_api_url}/messages", params={"to": address})
            mails: list[dict[str, Any]] = found.json()
            return mails

    return mails_of


def an_address() -> str:
    return f"ann-{uuid4().hex[:12]}@example.com"


def invoice_for(address: str, name: str = "Ann Ex", **more: Any) -> InvoiceIssued:
    customer = uuid4()
    recipient = sealed(address, name, customer, PERSONAL_KEY)
    tenant: UUID = more.pop("tenant_id", None) or a_tenant()
    return issued(tenant, customer_id=customer, recipient=recipient, **more)


async def send_all(postman: Postman) -> None:
    while await postman.step():
        pass


async def test_an_issued_invoice_is_mailed_with_its_link(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    address = an_address()
    fact = invoice_for(address)
    await unit.receives(fact)
    await send_all(postman)
    (mail,) = await inbox(address)
    assert mail["subject"] == "Invoice INV-000123 from Acme & Söhne"
    for part in (mail["text"], mail["html"]):
        assert "12.50 USD" in part
        assert "4 December 2026" in part
        assert fact.payment_link in part
        assert fact.address in part
        assert str(fact.memo) in part
    assert "Acme &amp; Söhne" in mail["html"]
    assert "Ann Ex" in mail["text"]
    (stated,) = await unit.facts(NotificationSent)
    assert (stated.invoice_id, stated.template, stated.attempt) == (
        fact.invoice_id,
        "invoice_issued",
        1,
    )


async def test_payments_are_receipted_to_the_same_recipient(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    address = an_address()
    fact = invoice_for(address)
    await unit.receives(
        fact,
        settled(InvoicePartiallyPaid, fact, 400, due=850, other=850),
        settled(InvoicePaid, fact, 1250),
        settled(InvoiceOverpaid, fact, 1300, other=50),
    )
    await send_all(postman)
    texts = [mail["text"] for mail in await inbox(address) if "received" in mail["subject"]]
    assert len(texts) == 3
    assert sum("Still due: 8.50 USD" in text for text in texts) == 1
    assert sum("The invoice is paid" in text for text in texts) == 1
    assert sum("0.50 USD more" in text for text in texts) == 1
    assert any("4.000000 PATHUSD" in text for text in texts)


async def test_doubled_events_make_one_mail_a_cause(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    chance = random.Random(3)
    addresses = [an_address() for _ in range(4)]
    invoices = [invoice_for(address) for address in addresses]
    first = [record_of(fact) for fact in invoices]
    then = [record_of(settled(InvoicePaid, fact, 1250)) for fact in invoices]
    for wave in (first * 2, (first + then) * 2):
        chance.shuffle(wave)
        await unit.receives(*wave)
    await send_all(postman)
    for address in addresses:
        assert len(await inbox(address)) == 2
    assert len(await unit.facts(NotificationSent)) == 8


async def test_a_fact_that_comes_again_after_the_inbox_forgot_it_is_not_mailed_again(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    address = an_address()
    told = record_of(invoice_for(address))
    for _ in range(2):
        await unit.receives(told)
        await send_all(postman)
        await unit.worker.pool.execute("delete from inbox")
    assert len(await inbox(address)) == 1


async def test_an_invoice_without_a_recipient_gets_no_mail(
    unit: ServiceUnderTest, postman: Postman
) -> None:
    fact = issued(a_tenant())
    await unit.receives(fact, settled(InvoicePaid, fact, 1250))
    assert await postman.step() == 0
    assert await unit.facts(NotificationSent, NotificationFailed) == []


@pytest.mark.parametrize(
    "name",
    [
        "Ann\r\nBcc: evil@example.com",
        "Ann\nSubject: other",
        "Ann\x0b\x85\u2028Bcc: x@example.com",
        '"Ann" <evil@example.com>, b',
        "=?utf-8?q?Ann=0D=0ABcc=3A_x=40example.com?=",
        "A" * 5000,
        "",
        "Ännchen 🎈, (of) [Tharau]; \\",
        "<script>alert(1)</script>",
    ],
)
async def test_no_name_can_inject_a_header_or_markup(
    name: str, unit: ServiceUnderTest, postman: Postman, infra: Infrastructure, inbox: Inbox
) -> None:
    address = an_address()
    await unit.receives(invoice_for(address, name, issuer_name=name or "x"))
    await send_all(postman)
    (mail,) = await inbox(address)
    assert mail["to"] == [address]
    assert "<script>" not in mail["html"]
    async with httpx.AsyncClient() as http:
        raw = (await http.get(f"{infra.mail_api_url}/messages/{mail['id']}.eml")).text
    head = raw.replace("\r\n", "\n").partition("\n\n")[0]
    names = [line.split(":")[0].lower() for line in head.split("\n") if line[:1].strip()]
    assert "bcc" not in names
    assert names.count("subject") == names.count("to") == names.count("message-id") == 1


@pytest.mark.parametrize("address", ["a@b\r\nRCPT TO:<c@d>", "no-address", "a b@c.de", ""])
async def test_an_address_that_is_none_fails_for_good_and_holds_up_nobody(
    address: str, unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    good = an_address()
    await unit.receives(invoice_for(address), invoice_for(good))
    await send_all(postman)
    assert len(await inbox(good)) == 1
    (stated,) = await unit.facts(NotificationFailed)
    assert stated.reason.startswith("unwritable:")


async def test_a_recipient_sealed_for_another_is_never_mailed(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox
) -> None:
    address = an_address()
    moved = sealed(address, "Ann", uuid4(), PERSONAL_KEY)
    await unit.receives(issued(a_tenant(), customer_id=uuid4(), recipient=moved))
    await send_all(postman)
    assert await inbox(address) == []
    (stated,) = await unit.facts(NotificationFailed)
    assert stated.reason == "unwritable:Unreadable"


async def test_what_a_dead_process_sent_is_sent_again_under_the_same_message_id(
    unit: ServiceUnderTest, postman: Postman, inbox: Inbox, infra: Infrastructure
) -> None:
    address = an_address()
    await unit.receives(invoice_for(address))
    await postman._server.send(await postman.claim())
    assert await postman.step() == 0
    await unit.worker.pool.execute("update notification set lease_until = now()")
    await send_all(postman)
    mails = await inbox(address)
    assert len(mails) == 2
    ids = set()
    async with httpx.AsyncClient() as http:
        for mail in mails:
            raw = (await http.get(f"{infra.mail_api_url}/messages/{mail['id']}.eml")).text
            ids |= {line for line in raw.splitlines() if line.startswith("Message-ID")}
    assert len(ids) == 1


class Moody:
    """A mail server that answers as told, each mail by the beginning of its recipient."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("never"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.3.0 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        address = envelope.rcpt_tos[0]
        if address.startswith("spam"):
            return "554 refused"
        self.taken.append(address)
        if address.startswith("lost"):
            server.transport.abort()
        return "250 OK"


@asynccontextmanager
async def moody_server() -> AsyncIterator[tuple[Moody, str]]:
    moody = Moody()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(moody), "127.0.0.1", 0)
    try:
        yield moody, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_each_mail_ends_as_the_server_answered(
    unit: ServiceUnderTest, infra: Infrastructure
) -> None:
    async with moody_server() as (moody, url):
        settings = make_settings(infra, smtp_url=SecretStr(url), mail_concurrency=1)
        postman = Postman(unit.worker, MailServer(settings, Sealer(PERSONAL_KEY)), settings)
        names = ("never", "later", "spam", "lost", "fine")
        await unit.receives(*(invoice_for(f"{name}@example.com") for name in names))
        await send_all(postman)
        assert sorted(moody.taken) == ["fine@example.com", "lost@example.com"]
        rows = await unit.worker.fetch("select state, reason from notification")
        assert sorted((row["state"], row["reason"] or "") for row in rows) == [
            ("failed", "smtp_550"),
            ("failed", "smtp_554"),
            ("pending", "smtp_451"),
            ("pending", "unknown:SMTPServerDisconnected"),
            ("sent", ""),
        ]
        assert len(await unit.facts(NotificationFailed)) == 2
        await make_due(unit)
        await send_all(postman)
        assert moody.taken.count("lost@example.com") == 2


async def test_a_mail_server_that_is_away_delays_mails_and_loses_none(
    unit: ServiceUnderTest, infra: Infrastructure, inbox: Inbox, postman: Postman
) -> None:
    away = make_settings(infra, smtp_url=SecretStr("smtp://127.0.0.1:1"))
    address = an_address()
    await unit.receives(invoice_for(address))
    await send_all(Postman(unit.worker, MailServer(away, Sealer(PERSONAL_KEY)), away))
    assert await unit.worker.fetchval("select state from notification") == "pending"
    await make_due(unit)
    await send_all(postman)
    assert len(await inbox(address)) == 1


async def test_a_password_is_never_sent_over_a_connection_in_the_clear(
    unit: ServiceUnderTest, infra: Infrastructure
) -> None:
    async with moody_server() as (moody, url):
        with_password = SecretStr(url.replace("://", "://user:secret@"))
        settings = make_settings(infra, smtp_url=with_password)
        await unit.receives(invoice_for(an_address()))
        await send_all(Postman(unit.worker, MailServer(settings, Sealer(PERSONAL_KEY)), settings))
        assert moody.taken == []
        reason = await unit.worker.fetchval("select reason from notification")
        assert reason.startswith("server:")


async def test_notifications_are_listed_without_their_recipient(
    unit: ServiceUnderTest, postman: Postman, client_of: Callable[[UUID], Client]
) -> None:
    client = client_of(a_tenant())
    address = an_address()
    fact = invoice_for(address, tenant_id=client.tenant_id)
    other = invoice_for(an_address(), tenant_id=client.tenant_id)
    await unit.receives(fact, other)
    await send_all(postman)
    answer = await client("GET", "/notifications")
    assert len(answer.json()["items"]) == 2
    assert address not in answer.text
    (one,) = (await client("GET", f"/notifications?invoice_id={fact.subject}")).json()["items"]
    assert (one["state"], one["template"]) == ("sent", "invoice_issued")
    foreign = await client_of(a_tenant())("GET", f"/notifications?invoice_id={fact.subject}")
    assert foreign.json()["items"] == []
