"""Each service is killed at each step of a payment; the payment is booked once all the same."""

import asyncio
import random
import signal

import pytest

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed
from invoiceos_contracts.invoice_v1 import InvoiceClosed, InvoicePaid
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_contracts.payment_v1 import PaymentSucceeded
from invoiceos_local.demo.client import an_invoice

STEPS = [
    ("provider-orchestrator", "transaction.flushed"),
    ("provider-orchestrator", "transaction.committed"),
    ("provider-orchestrator", "relay.acked"),
    ("reserve-ledger", "consumer.handled"),
    ("reserve-ledger", "transaction.flushed"),
    ("reserve-ledger", "consumer.committed"),
    ("reserve-ledger", "relay.sent"),
    ("invoice", "consumer.handled"),
    ("invoice", "consumer.committed"),
    ("invoice", "relay.acked"),
    ("ephemeral-manager", "consumer.handled"),
    ("wallet-factory", "consumer.committed"),
    ("notification", "consumer.handled"),
]


@pytest.mark.parametrize(("service", "failpoint"), STEPS)
async def test_a_service_killed_at_a_step_of_a_payment_books_it_once(
    platform, tmp_path, service, failpoint
):
    mark = tmp_path / "died"
    invoice_id, issued = await platform.issue(an_invoice("Death", 10_000, watch_window_s=1))
    platform.overrides.setdefault(service, {}).update(
        INVOICEOS_FAILPOINT=failpoint, INVOICEOS_FAILPOINT_MARK=str(mark)
    )
    try:
        await asyncio.to_thread(_restart, platform, service, mark)
        await platform.transfer(issued, 11_900)
        await platform.feed.until(InvoicePaid, invoice_id, seconds=60)
        await platform.feed.until(EphemeralWalletDestroyed, invoice_id, seconds=60)
        await platform.feed.until(InvoiceClosed, invoice_id, seconds=60)
    finally:
        platform.overrides[service].pop("INVOICEOS_FAILPOINT")
        platform.overrides[service].pop("INVOICEOS_FAILPOINT_MARK")
    assert mark.read_text() == failpoint, "the service was never killed: the test showed nothing"
    assert len(await platform.transactions(invoice_id)) == 1
    assert platform.feed.count([FundsBooked], invoice_id) >= 1
    assert (await platform.invoice(invoice_id))["received"]["amount_minor"] == 11_900
    await platform.books_are_right()


def _restart(platform, service, mark):
    """Restart armed; a service may meet its step before it is ready, and is then started again."""
    try:
        platform.stack.restart(service)
    except Exception:
        if not mark.exists():
            raise


async def test_twenty_invoices_are_settled_while_every_service_is_killed_in_turn(platform):
    chooser = random.Random(20)
    invoices = await asyncio.gather(
        *(platform.issue(an_invoice(f"Storm {n}", 1_000, watch_window_s=1)) for n in range(20))
    )
    services = [name for name in platform.stack.ports if name != "gateway"]
    chooser.shuffle(services)

    async def storm():
        for service in services:
            await asyncio.sleep(chooser.random() / 2)
            platform.stack.kill(service, signal.SIGKILL)

    async def payments():
        for _, issued in invoices:
            await platform.transfer(issued, issued.due.amount_minor)
            await asyncio.sleep(0.1)

    await asyncio.gather(storm(), payments())
    for invoice_id, _ in invoices:
        await platform.feed.until(InvoicePaid, invoice_id, seconds=90)
        await platform.feed.until(InvoiceClosed, invoice_id, seconds=90)
    await platform.quiet()
    for invoice_id, _ in invoices:
        assert len(await platform.transactions(invoice_id)) == 1
        assert (await platform.invoice(invoice_id))["status"]["settlement"] == "paid"
    ids = {invoice_id for invoice_id, _ in invoices}
    payments_seen = {
        seen.fact.payment_id
        for seen in platform.feed.seen
        if isinstance(seen.fact, PaymentSucceeded) and seen.fact.invoice_id in ids
    }
    assert len(payments_seen) == 20
    await platform.books_are_right()
