"""Each way an invoice can go, on the real broker, database and chain."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from chassis.certificates import findings
from invoiceos_contracts import encode
from invoiceos_contracts.ephemeral_v1 import (
    Certificate,
    EphemeralWalletActivated,
    EphemeralWalletDestroyed,
    LateFundsDetected,
)
from invoiceos_contracts.invoice_v1 import (
    InvoiceClosed,
    InvoiceExpired,
    InvoiceLatePayment,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
)
from invoiceos_contracts.ledger_v1 import FundsBooked, ReserveStated, TransactionPosted
from invoiceos_contracts.payment_v1 import PaymentConflicted
from invoiceos_local.demo.client import an_invoice
from invoiceos_local.demo.receiver import Receiver
from testkit.platform import a_key

HOUR = 3600


async def test_an_invoice_is_issued_paid_booked_announced_and_its_wallet_destroyed(platform):
    async with Receiver() as receiver:
        endpoint = await platform.client.post("/api/v1/webhook-endpoints", {"url": receiver.url})
        receiver.secret = endpoint["secret"]
        invoice_id, issued = await platform.issue(an_invoice("Consulting", 50_000, "2", 2))
        assert issued.number is not None
        assert issued.number.startswith("INV-")
        assert issued.due.amount_minor == 119_000
        await platform.feed.until(EphemeralWalletActivated, invoice_id)
        await platform.transfer(issued, 119_000)
        paid = await platform.feed.until(InvoicePaid, invoice_id)
        assert (paid.status.document, paid.status.settlement, paid.status.timeliness) == (
            "open",
            "paid",
            "on_time",
        )
        assert paid.shortage.amount_minor == 0
        destroyed = await platform.feed.until(EphemeralWalletDestroyed, invoice_id)
        closed = await platform.feed.until(InvoiceClosed, invoice_id)
        assert closed.status.document == "closed"
        await receiver.until(InvoicePaid.TYPE, encode("inv", invoice_id))
        await receiver.until(EphemeralWalletDestroyed.TYPE, encode("inv", invoice_id))
        assert receiver.refused == 0
    (transaction,) = await platform.transactions(invoice_id)
    assert sum(p["amount"]["amount_minor"] for p in transaction["postings"]) == 0
    assert platform.feed.count([TransactionPosted], invoice_id) == 1
    await _certificate_holds(platform, destroyed.certificate, issued)
    await _mail_came(platform, issued)
    await platform.books_are_right()


async def _certificate_holds(platform, certificate: Certificate, issued) -> None:
    key = await platform.client.get("/api/v1/certificates/public-key")
    assert all(right for _, right in findings(certificate, key["public_key"]))
    assert certificate.body.address == issued.address
    assert certificate.body.final_block is not None
    public = encode("wal", issued.wallet_id)
    shown = await platform.client.get(f"/api/v1/wallets/ephemeral/{public}/certificate")
    assert Certificate.model_validate(shown) == certificate
    answer = await platform.client.post(
        "/api/v1/certificates/verify", certificate.model_dump(mode="json")
    )
    assert answer["valid"] is True
    forged = json.loads(certificate.model_dump_json())
    forged["body"]["reason"] = "because"
    answer = await platform.client.post("/api/v1/certificates/verify", forged)
    assert answer["valid"] is False


async def _mail_came(platform, issued) -> None:
    url = platform.stack.urls["mail"] + "/messages"
    async with asyncio.timeout(60):
        while True:
            async with platform.client.http.get(url) as answer:
                mails = await answer.json()
            if any(issued.payment_link in (mail["text"] or "") for mail in mails):
                return
            await asyncio.sleep(0.1)


async def test_the_payment_page_and_instructions_need_no_account(platform):
    _, issued = await platform.issue(an_invoice("Page", 1_000, watch_window_s=HOUR))
    async with platform.client.http.get(issued.payment_link) as page:
        text = await page.text()
        assert page.status == 200
        assert issued.address in text
        policy = page.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy
    assets = re.findall(r"/pay/assets/[^\"]+", text)
    assert len(assets) == 2
    for name in assets:
        async with platform.client.http.get(f"{platform.client.url}{name}") as asset:
            assert asset.status == 200, name
    token = issued.payment_link.rpartition("/")[2]
    url = f"{platform.client.url}/api/v1/payment-links/{token}"
    async with platform.client.http.get(url) as answer:
        assert (await answer.json())["address"] == issued.address
    async with platform.client.http.get(url[:-4] + "AAAA") as answer:
        assert answer.status == 404


async def test_a_partial_payment_is_completed_later(platform):
    invoice_id, issued = await platform.issue(an_invoice("Part", 10_000, watch_window_s=HOUR))
    await platform.transfer(issued, 4_000)
    first = await platform.feed.until(InvoicePartiallyPaid, invoice_id)
    assert (first.shortage.amount_minor, first.due.amount_minor) == (7_900, 7_900)
    await platform.transfer(issued, 7_900, "ALPHAUSD")
    paid = await platform.feed.until(InvoicePaid, invoice_id)
    assert paid.received.amount_minor == 11_900
    assert len(await platform.transactions(invoice_id)) == 2


async def test_the_excess_of_an_overpayment_is_the_payers_credit(platform):
    invoice_id, issued = await platform.issue(an_invoice("Over", 10_000, watch_window_s=HOUR))
    await platform.transfer(issued, 12_000)
    over = await platform.feed.until(InvoiceOverpaid, invoice_id)
    assert over.excess.amount_minor == 100
    (transaction,) = await platform.transactions(invoice_id)
    by_account = {p["account"]: p["amount"]["amount_minor"] for p in transaction["postings"]}
    assert by_account == {"1200": 120_000_000, "2100": -119_000_000, "2500": -1_000_000}


async def test_a_payment_short_by_no_more_than_the_tolerance_settles(platform):
    body = {
        **an_invoice("Tolerant", 10_000, watch_window_s=HOUR),
        "tolerance": {"amount_minor": 100},
    }
    invoice_id, issued = await platform.issue(body)
    await platform.transfer(issued, 11_810)
    paid = await platform.feed.until(InvoicePaid, invoice_id)
    assert paid.shortage.amount_minor == 90


async def test_money_that_comes_after_the_wallet_was_destroyed_is_booked_as_credit(platform):
    invoice_id, issued = await platform.issue(an_invoice("Late", 10_000, watch_window_s=1))
    await platform.transfer(issued, 11_900)
    await platform.feed.until(EphemeralWalletDestroyed, invoice_id)
    await platform.feed.until(InvoiceClosed, invoice_id)
    await platform.transfer(issued, 700)
    booked = await platform.feed.until(FundsBooked, invoice_id, after=1)
    assert (booked.applied.amount_minor, booked.excess.amount_minor) == (0, 7_000_000)
    late = await platform.feed.until(InvoiceLatePayment, invoice_id)
    assert late.policy == "credit"
    await platform.feed.until(LateFundsDetected, invoice_id)


async def test_an_expired_invoice_takes_a_late_payment_and_says_so(platform):
    body = an_invoice("Expired", 10_000, watch_window_s=HOUR)
    body["wallet"]["ttl_s"] = 1
    body["due_at"] = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    invoice_id, issued = await platform.issue(body)
    expired = await platform.feed.until(InvoiceExpired, invoice_id)
    assert expired.status.timeliness == "expired"
    await platform.transfer(issued, 11_900)
    late = await platform.feed.until(InvoiceLatePayment, invoice_id)
    assert late.policy == "accept"
    paid = await platform.feed.until(InvoicePaid, invoice_id)
    assert paid.status.timeliness == "paid_late"


async def test_a_wrong_token_is_told_apart_and_never_counts_as_payment(platform):
    invoice_id, issued = await platform.issue(an_invoice("Wrong", 10_000, watch_window_s=HOUR))
    token = "0x20c0000000000000000000000000000000000002"
    await platform.transfer(issued, 11_900, token)
    conflicted = await platform.feed.until(PaymentConflicted, invoice_id)
    assert conflicted.cause == "wrong_asset"
    assert (await platform.invoice(invoice_id))["status"]["settlement"] == "unpaid"


async def test_a_replayed_request_gets_the_first_answer_byte_for_byte(platform):
    body, key = an_invoice("Twice", 10_000, watch_window_s=HOUR), a_key()
    answers = []
    for _ in range(2):
        async with platform.client.http.post(
            platform.client.url + "/api/v1/invoices",
            json=body,
            headers={
                "Authorization": f"Bearer {platform.client.api_key}",
                "Idempotency-Key": key,
            },
        ) as answer:
            answers.append((answer.status, await answer.read()))
    assert answers[0] == answers[1]
    status, problem, _ = await platform.client.call(
        "POST", "/api/v1/invoices", {**body, "reference": "x"}, Idempotency_Key=key
    )
    assert (status, problem["code"]) == (422, "idempotency_key_reused")


async def test_fifty_requests_with_one_key_make_one_invoice(platform):
    body, key = an_invoice("Fifty", 10_000, watch_window_s=HOUR), a_key()
    answers = await asyncio.gather(
        *(
            platform.client.call("POST", "/api/v1/invoices", body, Idempotency_Key=key)
            for _ in range(50)
        )
    )
    assert {status for status, _, _ in answers} <= {201, 409}
    assert len({made["id"] for status, made, _ in answers if status == 201}) == 1


async def test_prefer_wait_answers_with_the_open_invoice(platform):
    made = await platform.client.post(
        "/api/v1/invoices", an_invoice("Wait", 10_000, watch_window_s=HOUR), Prefer="wait=10"
    )
    assert made["status"]["document"] == "open"
    assert made["number"] is not None


async def test_each_batch_of_postings_states_that_the_reserve_covers_what_circulates(platform):
    await platform.quiet()
    stated = [s.fact for s in platform.feed.seen if isinstance(s.fact, ReserveStated)]
    assert stated
    assert all(statement.covered for statement in stated)
    numbers = [statement.sequence for statement in stated]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await platform.books_are_right()


@pytest.mark.parametrize("old", ["/api/invoices", "/api/invoice-wallets", "/api/payments"])
async def test_the_old_prefixes_answer_too(platform, old):
    found = await platform.client.get(old)
    assert "items" in found
