"""The demo's acts. Each one ends with a check; the command fails when one is not right."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from rich.console import Console

from invoiceos_contracts import decode, encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed, EphemeralWalletWatching
from invoiceos_contracts.invoice_v1 import (
    InvoiceClosed,
    InvoiceIssued,
    InvoiceLatePayment,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
)
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_local.chain import pay
from invoiceos_local.demo.client import Client, an_invoice
from invoiceos_local.demo.feed import Feed
from invoiceos_local.demo.receiver import Receiver
from invoiceos_local.demo.view import View, money
from invoiceos_local.state import State

PAYER = 3
PAID_IN = "PATHUSD"
UNITS_PER_CENT = 10_000


@dataclass
class Story:
    """What the acts share."""

    state: State
    client: Client
    feed: Feed
    receiver: Receiver
    view: View
    wrong: list[str] = field(default_factory=list)

    def check(self, text: str, right: bool) -> None:
        """State a finding and remember one that is wrong."""
        self.view.check(text, right)
        if not right:
            self.wrong.append(text)

    async def issue(self, body: dict[str, Any]) -> tuple[UUID, InvoiceIssued]:
        """Issue an invoice through the gateway; its id and the fact that it is open."""
        made = await self.client.post("/api/v1/invoices", body)
        invoice_id = decode("inv", made["id"])
        issued: InvoiceIssued = await self.feed.until(InvoiceIssued, invoice_id)
        return invoice_id, issued

    async def transfer(self, issued: InvoiceIssued, cents: int) -> str:
        """Pay into an invoice's wallet by a real TIP-20 transfer; the transaction's hash."""
        memo = bytes.fromhex(issued.memo.removeprefix("0x")) if issued.memo else None
        receipt = await pay(
            self.state.infrastructure["tempo_rpc_url"],
            PAYER,
            PAID_IN,
            issued.address,
            cents * UNITS_PER_CENT,
            memo,
        )
        return receipt.transaction_hash


async def main_job(story: Story) -> None:
    """Issue, pay, book, announce, destroy."""
    story.view.heading("1. An invoice is issued, paid, booked, announced, and its wallet destroyed")
    story.view.begin()
    story.view.say("POST /api/v1/invoices  (two days of consulting, 1000.00 USD + 19 % VAT)")
    invoice_id, issued = await story.issue(an_invoice("Consulting", 50_000, "2"))
    story.view.say(
        f"the payer sends {money(issued.due.model_dump())} in {PAID_IN} to {issued.address}"
    )
    await story.transfer(issued, issued.due.amount_minor)
    await story.feed.until(InvoicePaid, invoice_id)
    destroyed: EphemeralWalletDestroyed = await story.feed.until(
        EphemeralWalletDestroyed, invoice_id
    )
    await story.feed.until(InvoiceClosed, invoice_id)
    await asyncio.sleep(0.3)
    story.view.showing = False
    await _show_ledger(story, invoice_id)
    await _show_mail(story, issued)
    await _show_webhook(story, invoice_id)
    await _show_certificate(story, destroyed)


async def _show_ledger(story: Story, invoice_id: UUID) -> None:
    public = encode("inv", invoice_id)
    story.view.heading("The books")
    found = await story.client.get(f"/api/v1/ledger/transactions?invoice_id={public}")
    story.view.postings(found["items"])
    reserve = (await story.client.get("/api/v1/reserves"))["positions"]
    for position in reserve:
        story.check(
            f"reserve of {position['asset']} covers what circulates, difference "
            f"{position['difference_minor']}",
            position["difference_minor"] == 0,
        )


async def _show_mail(story: Story, issued: InvoiceIssued) -> None:
    story.view.heading("The mail")
    url = story.state.urls["mail"] + "/messages"

    async def mails() -> list[dict[str, Any]]:
        async with story.client.http.get(url, params={"to": "ada@example.test"}) as answer:
            found: list[dict[str, Any]] = await answer.json()
            return [mail for mail in found if str(issued.number) in mail["subject"]]

    async with asyncio.timeout(20):
        while not any(  # noqa: ASYNC110 - the sink is another process
            issued.payment_link in (mail["text"] or "") for mail in await mails()
        ):
            await asyncio.sleep(0.1)
    for mail in await mails():
        story.view.console.print(f"  to {', '.join(mail['to'])}: {mail['subject']}", markup=False)
    story.check(f"it holds the payment link {issued.payment_link}", True)
    async with story.client.http.get(issued.payment_link) as page:
        story.check("the link opens the payment page", page.status == 200)


async def _show_webhook(story: Story, invoice_id: UUID) -> None:
    story.view.heading("The webhook")
    delivered = await story.receiver.until(InvoicePaid.TYPE, encode("inv", invoice_id))
    story.check(f"{delivered['type']} came, signed, as {delivered['id']}", True)
    story.check("no delivery had a wrong signature", story.receiver.refused == 0)


async def _show_certificate(story: Story, destroyed: EphemeralWalletDestroyed) -> None:
    story.view.heading("The end of the wallet")
    body = destroyed.certificate.body
    for item in body.destroyed:
        story.view.console.print(f"  destroyed: {item.what}", markup=False)
    for kept in body.kept:
        story.view.console.print(f"  kept:      {kept}", markup=False, soft_wrap=True)
    key = await story.client.get("/api/v1/certificates/public-key")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.json"
        file.write_text(json.dumps(destroyed.certificate.model_dump(mode="json")))
        command = Path(sys.executable).with_name("invoiceos")
        done = await asyncio.to_thread(
            subprocess.run,
            [command, "certificate", "verify", file, "--public-key", key["public_key"]],
            capture_output=True,
            text=True,
            check=False,
        )
    for line in done.stdout.splitlines():
        story.view.console.print(f"  {line}", markup=False)
    story.check("invoiceos certificate verify says yes", done.returncode == 0)


async def partial(story: Story) -> None:
    """A payment in two parts."""
    story.view.heading("2. A partial payment, completed later")
    story.view.begin()
    invoice_id, issued = await story.issue(an_invoice("Workshop", 10_000, watch_window_s=3600))
    await story.transfer(issued, 4_000)
    first: InvoicePartiallyPaid = await story.feed.until(InvoicePartiallyPaid, invoice_id)
    await story.transfer(issued, first.due.amount_minor)
    await story.feed.until(InvoicePaid, invoice_id)
    story.view.showing = False
    story.check(f"first part left {money(first.shortage.model_dump())} to pay", True)
    found = await story.client.get(f"/api/v1/invoices/{encode('inv', invoice_id)}")
    story.check("the invoice is paid", found["status"]["settlement"] == "paid")


async def over(story: Story) -> None:
    """More than was asked."""
    story.view.heading("3. An overpayment")
    story.view.begin()
    invoice_id, issued = await story.issue(an_invoice("Licence", 10_000, watch_window_s=3600))
    await story.transfer(issued, issued.due.amount_minor + 500)
    overpaid: InvoiceOverpaid = await story.feed.until(InvoiceOverpaid, invoice_id)
    story.view.showing = False
    story.check(
        f"the excess of {money(overpaid.excess.model_dump())} is the payer's credit",
        overpaid.excess.amount_minor == 500,
    )


async def late(story: Story) -> None:
    """Money that comes when the wallet is already gone."""
    story.view.heading("4. A late payment, after the wallet was destroyed")
    story.view.begin()
    invoice_id, issued = await story.issue(an_invoice("Support", 10_000, watch_window_s=1))
    await story.transfer(issued, issued.due.amount_minor)
    await story.feed.until(EphemeralWalletWatching, invoice_id)
    await story.feed.until(EphemeralWalletDestroyed, invoice_id)
    await story.feed.until(InvoiceClosed, invoice_id)
    story.view.say("the wallet is gone; the payer pays once more")
    await story.transfer(issued, 2_500)
    booked: FundsBooked = await story.feed.until(FundsBooked, invoice_id, after=1)
    came: InvoiceLatePayment = await story.feed.until(InvoiceLatePayment, invoice_id)
    await asyncio.sleep(0.2)
    story.view.showing = False
    story.check(
        f"the late {money(booked.excess.model_dump())} is booked as the payer's credit",
        booked.applied.amount_minor == 0 and came.policy == "credit",
    )


async def replay(story: Story) -> None:
    """The same request twice."""
    story.view.heading("5. A request that is sent twice")
    body, key = an_invoice("Hosting", 9_900, watch_window_s=3600), "demo-replay-" + str(id(story))
    answers = [
        await story.client.call("POST", "/api/v1/invoices", body, Idempotency_Key=key)
        for _ in range(2)
    ]
    (_, first, _), (status, second, headers) = answers
    story.check(f"the second answer ({status}) is the first, byte for byte", first == second)
    story.check("it says so", headers.get("Idempotency-Replayed") == "true")
    status, problem, _ = await story.client.call(
        "POST", "/api/v1/invoices", {**body, "reference": "other"}, Idempotency_Key=key
    )
    story.check(f"the same key with another body is refused: {problem['code']}", status == 422)


async def tell(state: State, console: Console) -> list[str]:
    """Run every act; what was not right."""
    view = View(console)
    bootstrap = state.infrastructure["kafka_bootstrap"]
    async with (
        aiohttp.ClientSession() as http,
        Receiver() as receiver,
        Feed(bootstrap, view.fact) as feed,
    ):
        client = Client(http, state.urls["gateway"], state.tenant["api_key"])
        await client.call("PUT", "/api/v1/issuer-profile", {"name": "Babbage & Co"})
        endpoint = await client.post("/api/v1/webhook-endpoints", {"url": receiver.url})
        receiver.secret = endpoint["secret"]
        story = Story(state, client, feed, receiver, view)
        try:
            for act in (main_job, partial, over, late, replay):
                await act(story)
        finally:
            await client.call("DELETE", f"/api/v1/webhook-endpoints/{endpoint['id']}")
    return story.wrong
