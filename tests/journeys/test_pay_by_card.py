"""Whoever holds a payment link pays by card on the provider's page, without scripts or an account."""

from invoiceos_contracts import encode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed
from invoiceos_contracts.invoice_v1 import InvoicePaid
from invoiceos_contracts.ledger_v1 import FundsBooked
from invoiceos_local.demo.client import an_invoice

CARD = "4242 4242 4242 4242"


async def pressed(platform, token: str) -> str:
    """Where the button leads."""
    async with platform.client.http.post(
        f"{platform.client.url}/pay/with/{token}", data={"method": "card"}, allow_redirects=False
    ) as answer:
        assert answer.status == 303, await answer.text()
        return answer.headers["Location"]


async def test_a_card_pays_an_invoice_once_and_is_booked_at_its_provider(platform):
    http = platform.client.http
    invoice_id, issued = await platform.issue(an_invoice("By card", 10_000, watch_window_s=1))
    token = issued.payment_link.rpartition("/")[2]
    first = await pressed(platform, token)
    # The orchestrator hears of an invoice a moment later than who issued it.
    while first.endswith("news=payment_link_not_found"):
        first = await pressed(platform, token)
    assert first == await pressed(platform, token), "a double click is one payment"
    async with http.post(
        first, data={"number": CARD, "choice": "pay"}, allow_redirects=False
    ) as paid:
        assert paid.status == 303, await paid.text()
        back = paid.headers["Location"]
    async with http.get(back, allow_redirects=False) as answer:
        assert answer.status == 303
    news = await platform.feed.until(InvoicePaid, invoice_id)
    assert news.shortage.amount_minor == 0
    booked = await platform.feed.until(FundsBooked, invoice_id)
    assert booked.template == "provider_captured.v1"
    assert booked.applied.amount_minor == issued.due.amount_minor
    reference = encode("inv", invoice_id)
    payments = await platform.client.get(f"/api/v1/payments?invoice_id={reference}")
    assert [one["provider"] for one in payments["items"]] == ["stripe"]
    async with http.get(issued.payment_link) as page:
        assert "Nothing more is to be paid" in await page.text()
    await platform.feed.until(EphemeralWalletDestroyed, invoice_id)
