"""From a partner's record to its invoice and back to its outcome, whatever comes twice."""

import random
from typing import Any

import pytest

from chassis.documents import request_schema
from invoice.commands.bodies import NewInvoice
from invoiceos_contracts.invoice_v1 import InvoiceCreated, InvoiceIssuing
from invoiceos_contracts.partner_v1 import (
    InvoiceRequest,
    InvoiceRequestAccepted,
    InvoiceRequestRefused,
)
from invoiceos_contracts.registry import PARTNER_EVENTS
from invoiceos_contracts.samples import sample

from .conftest import BODY, request_of


def on(topic: str, records: list[Any]) -> list[Any]:
    return [record for record in records if record.topic == f"invoiceos.{topic}.v1"]


async def test_a_request_becomes_an_invoice_that_is_issued_and_its_partner_is_told(door, invoice):
    partner = await door.partner()
    await door.submits(request_of(partner, request_id="order-1"))
    await invoice.receives(*on("partner", await door.unit.published()))
    (created,) = await invoice.facts(InvoiceCreated)
    (issuing,) = await invoice.facts(InvoiceIssuing)
    (accepted,) = await invoice.facts(InvoiceRequestAccepted)
    assert accepted.invoice_id == created.invoice_id == issuing.invoice_id
    assert accepted.tenant_id == created.tenant_id == partner.tenant_id
    answers = on("invoice-request", await invoice.published())
    await door.unit.receives(*answers)
    ((headers, body),) = await door.outcomes(partner)
    assert headers["ce_type"] == InvoiceRequestAccepted.TYPE
    assert (body["request_id"], body["status"]) == ("order-1", "issuing")
    assert dict(answers[0].headers) == {name: text.encode() for name, text in headers.items()}


async def test_the_example_in_the_contracts_makes_an_invoice(door, invoice):
    partner = await door.partner()
    body = sample(InvoiceRequest).model_dump(mode="json", exclude_none=True)
    await door.submits(request_of(partner, body))
    await invoice.receives(*on("partner", await door.unit.published()))
    assert len(await invoice.facts(InvoiceRequestAccepted)) == 1


async def test_a_draft_stays_one(door, invoice):
    partner = await door.partner()
    await door.submits(request_of(partner, {**BODY, "draft": True}))
    await invoice.receives(*on("partner", await door.unit.published()))
    assert await invoice.facts(InvoiceIssuing) == []
    (accepted,) = await invoice.facts(InvoiceRequestAccepted)
    assert accepted.status == "draft"


REFUSED = {
    "a customer nobody knows": (
        {"customer": None, "customer_id": "cus_01jd2v7k3rf6g8m4s9t0w1x2y3"},
        "customer_not_found",
    ),
    "an asset that is none": ({"asset": "XQZ"}, "unknown_asset"),
    "nothing to pay": (
        {"lines": [{"description": "x", "quantity": "1", "unit_price_minor": 0}]},
        "total_not_positive",
    ),
    "no time left to pay": ({"payable_until": "2001-01-01T00:00:00Z"}, "payable_until_passed"),
    "two discounts in one": (
        {"discount": {"percent_ppm": 1, "amount_minor": 1}},
        "invalid_request",
    ),
    "a control character": ({"reference": "a\u0007b"}, "invalid_request"),
    "a quantity that is none": (
        {"lines": [{"description": "x", "quantity": "many", "unit_price_minor": 5}]},
        "",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_request_that_breaks_a_rule_is_refused_and_never_fails_its_neighbours(
    door, invoice, case
):
    changes, code = REFUSED[case]
    partner = await door.partner()
    bad = request_of(partner, {**BODY, **changes}, request_id="bad")
    await door.submits(request_of(partner), bad, request_of(partner))
    await invoice.receives(*on("partner", await door.unit.published()))
    (refused,) = await invoice.facts(InvoiceRequestRefused)
    assert refused.request_id == "bad"
    assert refused.detail
    assert refused.code == code or not code
    assert bool(refused.problems) == (refused.code == "invalid_request")
    assert len(await invoice.facts(InvoiceRequestAccepted)) == 2
    assert len(await invoice.facts(InvoiceCreated)) == 2


async def test_doubled_and_shuffled_everywhere_there_is_one_invoice_and_one_outcome_each(
    door, invoice
):
    chooser = random.Random(3)
    partners = [await door.partner() for _ in range(2)]
    asked = [request_of(p, request_id=f"{n}") for p in partners for n in range(8)]
    asked += [request_of(p, {**BODY, "asset": "XQZ"}, request_id="no") for p in partners]
    asked += [request_of(p, {}, request_id="bad") for p in partners]
    await door.submits(*chooser.sample(asked * 2, 2 * len(asked)))
    stated = on("partner", await door.unit.published())
    await invoice.receives(*chooser.sample(stated * 2, 2 * len(stated)))
    await invoice.receives(*stated)
    assert len(await invoice.facts(InvoiceCreated)) == 16
    answers = on("invoice-request", await invoice.published()) + stated
    await door.unit.receives(*chooser.sample(answers * 2, 2 * len(answers)))
    await door.unit.receives(*answers)
    for partner in partners:
        outcomes = [body for _, body in await door.outcomes(partner)]
        wanted = [*(f"{n}" for n in range(8)), "bad", "no"]
        assert sorted(body["request_id"] for body in outcomes) == wanted
        assert {body["partner"] for body in outcomes} == {partner.name}


# -- the facts of the partner's own tenant ---------------------------------------------------------


async def test_a_partner_gets_the_facts_of_its_tenant_as_they_stand_and_no_others(door, invoice):
    one, other = await door.partner(), await door.partner()
    await door.submits(*[request_of(p) for p in (one, other) for _ in range(3)])
    await invoice.receives(*on("partner", await door.unit.published()))
    facts = on("invoice", await invoice.published())
    await door.unit.receives(*facts, *facts)
    for partner in (one, other):
        copies = await door.sent_to(PARTNER_EVENTS.topic(partner.name))
        own = [r for r in facts if r.key and partner_owns(r, partner)]
        assert [dict(r.headers)["ce_id"].decode() for r in own] == [h["ce_id"] for h, _ in copies]
        assert len(copies) == 6


def partner_owns(record: Any, partner: Any) -> bool:
    from invoiceos_contracts import from_headers

    return from_headers(record.headers).tenant_id == partner.tenant_id


async def test_a_partner_gets_what_it_asked_for_and_one_that_was_revoked_nothing(door, invoice):
    some = await door.partner(event_types=("invoiceos.invoice.created.v1",))
    prefix = await door.partner(some.tenant_id, event_types=("invoiceos.invoice.*",))
    nothing = await door.partner(some.tenant_id, event_types=())
    revoked = await door.partner(some.tenant_id)
    await door.revoke(revoked)
    await door.submits(request_of(some))
    await invoice.receives(*on("partner", await door.unit.published()))
    await door.unit.receives(*on("invoice", await invoice.published()))
    counts = [
        len(await door.sent_to(PARTNER_EVENTS.topic(p.name)))
        for p in (some, prefix, nothing, revoked)
    ]
    assert counts == [1, 2, 0, 0]


# -- the contract ----------------------------------------------------------------------------------


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema lets through: names and bounds, without words and without names of models."""
    definitions = schema.get("$defs", {})

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return plain(definitions[value["$ref"].rpartition("/")[2]])
            words = ("description", "title", "examples", "$defs", "default", "format")
            kept = {k: plain(v) for k, v in value.items() if k not in words}
            return kept if kept.get("type") != "string" or "enum" in kept else {"type": "string"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return plain(schema)


def test_a_partner_may_ask_for_whatever_the_rest_api_takes_and_for_nothing_else() -> None:
    by_topic = described(request_schema())["properties"]
    by_rest = described(NewInvoice.model_json_schema())["properties"]
    assert by_topic.pop("tenant_id")
    assert by_topic.pop("draft") == by_rest.pop("issue") == {"type": "boolean"}
    assert by_topic == by_rest
