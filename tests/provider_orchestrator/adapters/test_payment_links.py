"""Whoever holds a payment link pays at a provider's page: on the sandbox that plays them."""

import asyncio
import base64
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from collecting_kit import TENANT
from orchestrator_kit import settings_for

from chassis.settings import Environment, load
from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import (
    InvoiceExpired,
    InvoiceIssued,
    InvoiceLinkTold,
    InvoiceOverdue,
    InvoicePartiallyPaid,
)
from invoiceos_contracts.payment_v1 import PaymentCanceled, PaymentCreated, PaymentSucceeded
from invoiceos_contracts.provider_v1 import ProviderMethodsDeclared
from invoiceos_contracts.samples import sample
from provider_orchestrator.app import prepare
from provider_orchestrator.commands import pay_by_link
from provider_orchestrator.providers import catalogue as providers
from provider_orchestrator.providers.stripe.adapter import Stripe
from provider_orchestrator.providers.stripe.settings import StripeSettings
from testkit.service import record_of

from .shop import Shop


def later(
    issued: InvoiceIssued, kind: Any, *, due_minor: int = 1250, timeliness: str = "on_time"
) -> Any:
    """A later fact of an invoice."""
    shared = {name: getattr(issued, name) for name in kind.model_fields if hasattr(issued, name)}
    due = Amount(amount_minor=due_minor, asset=issued.due.asset)
    status = issued.status.model_copy(update={"timeliness": timeliness})
    fact = sample(kind).model_copy(update=shared | {"due": due, "status": status})
    return record_of(fact, version=2)


async def intents(shop: Shop) -> list[Any]:
    return await shop.unit.worker.fetch("select * from payment_intent order by created_at, id")


@pytest.mark.parametrize(
    ("method", "form"),
    [
        ("card", {"choice": "pay", "number": "4242 4242 4242 4242"}),
        ("paypal", {"choice": "approve"}),
    ],
)
async def test_the_holder_of_a_link_pays_on_the_providers_page(
    shop: Shop, method: str, form: dict[str, str]
) -> None:
    invoice, token = await shop.issued()
    page = await shop.press(token, method)
    assert page.startswith(shop.sandbox.url)
    await shop.back(await shop.act(page, **form), token)
    (paid,) = await shop.unit.facts(PaymentSucceeded)
    assert (paid.invoice_id, paid.amount.amount_minor) == (invoice.invoice_id, 1250)
    assert token not in " ".join([fact.write().decode() for fact in await shop.unit.facts()])
    (intent,) = await intents(shop)
    assert (intent["created_by"], intent["description"]) == ("payment-link", "Invoice INV-1")
    assert await shop.press(token, method) == f"/pay/{token}?news=payment_under_way"


async def test_a_button_that_is_pressed_often_makes_one_payment(shop: Shop) -> None:
    _, token = await shop.issued()
    first, second = await asyncio.gather(shop.press(token, "card"), shop.press(token, "card"))
    assert first == second == await shop.press(token, "card")
    assert len(await intents(shop)) == len(await shop.unit.facts(PaymentCreated)) == 1


async def test_another_way_gives_up_the_first_one_at_its_provider(shop: Shop) -> None:
    _, token = await shop.issued()
    card = await shop.press(token, "card")
    paypal = await shop.press(token, "paypal")
    assert paypal != card
    assert [one["state"] for one in await intents(shop)] == ["canceled", "requires_action"]
    assert len(await shop.unit.facts(PaymentCanceled)) == 1
    await shop.act(card, choice="pay", number="4242 4242 4242 4242")
    await shop.back(await shop.act(paypal, choice="approve"), token)
    assert len(await shop.unit.facts(PaymentSucceeded)) == 1


async def test_what_came_meanwhile_is_not_asked_for_again(shop: Shop) -> None:
    invoice, token = await shop.issued()
    await shop.press(token, "card")
    await shop.unit.receives(later(invoice, InvoicePartiallyPaid, due_minor=1000))
    await shop.press(token, "card")
    assert [one["amount_minor"] for one in await intents(shop)] == [1250, 1000]
    assert [one["state"] for one in await intents(shop)] == ["canceled", "requires_action"]


async def test_who_may_not_pay_is_sent_to_the_page_that_says_why(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, token = await shop.issued()
    await shop.unit.receives(later(late, InvoiceExpired, timeliness="expired"))
    assert await shop.press(token, "card") == f"/pay/{token}?news=invoice_not_payable"
    _, token = await shop.issued()
    assert await shop.press(token, "circle") == f"/pay/{token}?news=method_not_offered"
    _, other = await shop.issued(asset="PATHUSD")
    assert await shop.press(other, "card") == f"/pay/{other}?news=method_not_offered"
    stranger = base64.urlsafe_b64encode(TENANT.bytes + bytes(16)).rstrip(b"=").decode()
    assert await shop.press(stranger, "card") == f"/pay/{stranger}?news=payment_link_not_found"
    for nonsense in ("x", "a" * 43, "%00"):
        answer = await shop.http.post(f"/pay/with/{nonsense}", data={"method": "card"})
        assert answer.status_code in (303, 404)
        assert (await shop.http.get(f"/pay/back/{nonsense}")).status_code in (303, 404)
    monkeypatch.setattr(pay_by_link, "TRIES_MAX", 0)
    assert await shop.press(token, "card") == f"/pay/{token}?news=too_many_tries"
    assert await intents(shop) == []


async def test_a_provider_that_cannot_begin_leaves_the_invoice_free(
    shop: Shop, session: aiohttp.ClientSession
) -> None:
    _, token = await shop.issued()
    chosen = StripeSettings(
        environment=Environment.TEST, stripe_secret_key="sk_test_1", stripe_url="http://127.0.0.1:1"
    )
    well, shop.known["stripe"] = shop.known["stripe"], Stripe(session, chosen)
    assert await shop.press(token, "card") == f"/pay/{token}?news=failed"
    shop.known["stripe"] = well
    assert (await shop.press(token, "card")).startswith(shop.sandbox.url)


async def test_what_can_be_paid_with_is_said_once_and_again_when_it_changes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime: Any = SimpleNamespace(
        worker=shop.unit.worker, settings=settings_for("http://127.0.0.1:1")
    )
    for _ in range(2):
        await prepare(runtime)
    said = await shop.unit.facts(ProviderMethodsDeclared)
    assert {(one.provider, one.methods) for one in said} >= {
        ("stripe", ("card",)),
        ("paypal", ("paypal",)),
    }
    assert {one.pages for one in said if one.provider == "stripe"} == {(shop.sandbox.url,)}
    assert len(said) == len({(one.provider, one.rail) for one in said})
    monkeypatch.delenv("INVOICEOS_STRIPE_SECRET_KEY")
    load.cache_clear()
    providers.catalogue.cache_clear()
    await prepare(runtime)
    last = (await shop.unit.facts(ProviderMethodsDeclared))[len(said) :]
    assert [(one.provider, one.methods) for one in last] == [("stripe", ())]


async def test_the_link_of_an_old_invoice_works_once_it_was_told(shop: Shop) -> None:
    invoice, token = await shop.issued()
    await shop.unit.worker.pool.execute("update payable_invoice set link_hash = null")
    answer = await shop.http.post(f"/pay/with/{token}", data={"method": "card"})
    assert answer.headers["location"].endswith("news=payment_link_not_found")
    await shop.unit.receives(later(invoice, InvoiceLinkTold))
    assert (await shop.press(token, "card")).startswith(shop.sandbox.url)


async def test_an_overdue_invoice_is_known_to_be(shop: Shop) -> None:
    invoice, _ = await shop.issued()
    await shop.unit.receives(later(invoice, InvoiceOverdue, timeliness="overdue"))
    known = await shop.unit.worker.fetchval("select overdue from payable_invoice")
    assert known is True
