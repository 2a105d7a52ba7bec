"""What comes in by a partner's topic: let in once, or turned away with a reason that can be read."""

import json
import random
import uuid
from typing import Any

import pytest

from gateway.commands.register_partner import NewPartner
from gateway.errors import EventTypeUnknown, PartnerNameTaken, TenantNotFound
from invoiceos_contracts import encode
from invoiceos_contracts.identity_v1 import PartnerRegistered, PartnerRevoked
from invoiceos_contracts.partner_v1 import InvoiceRequested, InvoiceRequestRejected

from .conftest import BODY, request_of

LINE = BODY["lines"][0]


async def rejected(door: Any) -> list[InvoiceRequestRejected]:
    return await door.unit.facts(InvoiceRequestRejected)


async def test_a_request_is_let_in_with_the_tenant_of_its_topic_and_nothing_personal_in_clear(door):
    partner = await door.partner()
    await door.submits(request_of(partner, request_id="order 1"))
    (fact,) = await door.unit.facts(InvoiceRequested)
    assert (fact.tenant_id, fact.partner, fact.request_id) == (
        partner.tenant_id,
        partner.name,
        "order 1",
    )
    assert fact.invoice.lines[0].unit_price_minor == 5000
    assert fact.customer is not None
    assert b"ada@example.test" not in fact.write()
    assert await rejected(door) == []


MALFORMED: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "no value": (None, {}, "malformed_body", ""),
    "not JSON": (b"{", {}, "malformed_body", ""),
    "not UTF-8": (b'{"asset": "\xff"}', {}, "malformed_body", ""),
    "a key twice": (b'{"asset": "USD", "asset": "EUR"}', {}, "malformed_body", ""),
    "a number that explodes": (b'{"asset": 1e999}', {}, "malformed_body", ""),
    "too deep": (b"[" * 500 + b"]" * 500, {}, "malformed_body", ""),
    "too large": (b" " * 300_000, {}, "body_too_large", ""),
    "a list": ([], {}, "invalid_request", ""),
    "an unknown field": ({**BODY, "colour": "red"}, {}, "invalid_request", "/colour"),
    "a missing field": (
        {k: v for k, v in BODY.items() if k != "due_at"},
        {},
        "invalid_request",
        "/due_at",
    ),
    "a price that is text": (
        {**BODY, "lines": [{**LINE, "unit_price_minor": "5"}]},
        {},
        "invalid_request",
        "/lines/0/unit_price_minor",
    ),
    "a time that is a number": ({**BODY, "due_at": 4}, {}, "invalid_request", "/due_at"),
    "an internal type": (
        BODY,
        {"ce_type": "invoiceos.invoice.paid.v1"},
        "type_not_allowed",
        "",
    ),
    "the trusted type": (BODY, {"ce_type": InvoiceRequested.TYPE}, "type_not_allowed", ""),
    "no type": (BODY, {"ce_type": None}, "invalid_headers", ""),
    "no id": (BODY, {"ce_id": None}, "invalid_headers", ""),
    "an id that is too long": (BODY, {"ce_id": "x" * 201}, "invalid_headers", ""),
    "an id that is no text": (BODY, {"ce_id": b"\xff\x00"}, "invalid_headers", ""),
    "no source": (BODY, {"ce_source": None}, "invalid_headers", ""),
    "another version": (BODY, {"ce_specversion": "0.3"}, "invalid_headers", ""),
    "a time without an offset": (BODY, {"ce_time": "2026-01-01T00:00:00"}, "invalid_headers", ""),
    "headers without end": (BODY, {"x-more": "x" * 20_000}, "invalid_headers", ""),
    "structured mode": (
        BODY,
        {"content-type": "application/cloudevents+json"},
        "unsupported_media_type",
        "",
    ),
    "a tenant that is not its own": (
        BODY,
        {"ce_tenant": encode("ten", uuid.UUID(int=7))},
        "forged_tenant",
        "",
    ),
    "a tenant that is none": (BODY, {"ce_tenant": "acme"}, "forged_tenant", ""),
    "another tenant in the body": (
        {**BODY, "tenant_id": encode("ten", uuid.UUID(int=7))},
        {},
        "forged_tenant",
        "",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_malformed_is_turned_away_readable_and_its_neighbours_come_in(door, case):
    body, headers, code, pointer = MALFORMED[case]
    partner = await door.partner()
    bad = request_of(partner, body, headers=headers, request_id="bad")
    await door.submits(request_of(partner), bad, request_of(partner))
    (fact,) = await rejected(door)
    assert fact.code == code
    assert fact.detail
    assert fact.where.offset == bad.offset
    assert fact.where.topic == bad.topic
    assert fact.tenant_id == partner.tenant_id
    assert pointer in {problem.pointer for problem in fact.problems} | {""}
    readable = "ce_id" not in headers and code != "body_too_large" and body is not None
    if readable and "x-more" not in headers:
        assert fact.request_id == "bad"
    assert len(await door.unit.facts(InvoiceRequested)) == 2


async def test_its_own_tenant_may_be_named(door):
    partner = await door.partner()
    own = encode("ten", partner.tenant_id)
    await door.submits(request_of(partner, {**BODY, "tenant_id": own}, headers={"ce_tenant": own}))
    assert len(await door.unit.facts(InvoiceRequested)) == 1


async def test_two_headers_of_one_name_are_turned_away(door):
    partner = await door.partner()
    record = request_of(partner)
    record.headers.append(("ce_type", b"partner.invoice_requested.v1"))
    await door.submits(record)
    (fact,) = await rejected(door)
    assert fact.code == "invalid_headers"


async def test_what_was_typed_in_is_not_repeated_in_a_rejection(door):
    partner = await door.partner()
    secret = "hunter2-" + "x" * 300
    await door.submits(request_of(partner, {**BODY, "customer": {"name": secret, "email": secret}}))
    (fact,) = await rejected(door)
    assert b"hunter2" not in fact.write()
    assert {p.pointer for p in fact.problems} == {"/customer/name", "/customer/email"}


async def test_the_same_id_with_the_same_body_is_one_request_however_it_is_written(door):
    partner = await door.partner()
    again = request_of(partner, json.dumps(BODY, indent=3, sort_keys=True).encode(), request_id="a")
    first = request_of(partner, request_id="a")
    await door.submits(first, first, again)
    await door.submits(request_of(partner, request_id="a"))
    assert len(await door.unit.facts(InvoiceRequested)) == 1
    assert await rejected(door) == []


async def test_the_same_id_with_another_body_is_turned_away_in_one_poll_or_later(door):
    partner = await door.partner()
    other = {**BODY, "reference": "other"}
    await door.submits(
        request_of(partner, request_id="a"), request_of(partner, other, request_id="a")
    )
    await door.submits(request_of(partner, other, request_id="a"))
    assert [fact.code for fact in await rejected(door)] == ["request_id_reused"] * 2
    assert len(await door.unit.facts(InvoiceRequested)) == 1


async def test_an_id_that_was_turned_away_may_be_used_again(door):
    partner = await door.partner()
    await door.submits(request_of(partner, {}, request_id="a"), request_of(partner, request_id="a"))
    assert len(await rejected(door)) == 1
    assert len(await door.unit.facts(InvoiceRequested)) == 1


async def test_ids_of_two_partners_have_nothing_to_do_with_each_other(door):
    one, other = await door.partner(), await door.partner()
    await door.submits(request_of(one, request_id="a"), request_of(other, request_id="a"))
    facts = await door.unit.facts(InvoiceRequested)
    assert {fact.tenant_id for fact in facts} == {one.tenant_id, other.tenant_id}
    assert len({fact.invoice_request_id for fact in facts}) == 2


async def test_doubled_and_shuffled_records_come_to_the_same(door):
    partner = await door.partner()
    records = [request_of(partner, request_id=f"{n}") for n in range(12)]
    records += [request_of(partner, {}, request_id=f"bad {n}") for n in range(6)]
    chooser = random.Random(7)
    stream = records * 3
    chooser.shuffle(stream)
    while stream:
        size = chooser.randint(1, 10)
        batch, stream = stream[:size], stream[size:]
        await door.submits(*batch)
    assert len(await door.unit.facts(InvoiceRequested)) == 12
    assert len(await rejected(door)) == 6


async def test_records_of_nobodys_topic_are_kept_and_nobody_is_answered(door):
    stranger = f"p{uuid.uuid4().hex[:8]}"
    revoked, active = await door.partner(), await door.partner()
    await door.revoke(revoked)
    await door.submits(request_of(stranger), request_of(revoked), request_of(active))
    (fact,) = await door.unit.facts(InvoiceRequested)
    assert fact.partner == active.name
    assert await rejected(door) == []
    rows = await door.unit.worker.fetch(
        "select topic, reason, state, tenant_id from dead_letter where topic = any($1)",
        [f"partner.{stranger}.requests.v1", f"partner.{revoked.name}.requests.v1"],
    )
    assert {row["reason"] for row in rows} == {"partner_unknown", "partner_revoked"}
    assert {row["state"] for row in rows} == {"dead"}
    letters = await door.unit.worker.fetch("select topic from outbox where topic like '%.dlq'")
    assert letters == []


async def test_many_records_of_nobodys_topic_hold_up_no_partner(door):
    active = await door.partner()
    await door.submits(*[request_of("nobody-here") for _ in range(60)], request_of(active))
    assert len(await door.unit.facts(InvoiceRequested)) == 1


# -- partners --------------------------------------------------------------------------------------


async def test_registering_again_is_the_same_partner_and_states_nothing_new(door):
    partner = await door.partner()
    same = await door.register(NewPartner(partner.name, partner.tenant_id, None, "test"))
    assert same == partner
    assert len(await door.unit.facts(PartnerRegistered)) == 1


async def test_what_a_partner_wants_can_be_changed(door):
    partner = await door.partner()
    wish = NewPartner(partner.name, partner.tenant_id, ("invoiceos.invoice.*",), "test")
    assert (await door.register(wish)).event_types == ("invoiceos.invoice.*",)
    assert [f.event_types for f in await door.unit.facts(PartnerRegistered)] == [
        ("*",),
        ("invoiceos.invoice.*",),
    ]


async def test_a_name_is_one_tenants_for_good(door):
    partner = await door.partner()
    other = NewPartner(partner.name, await door.tenant(), None, "test")
    assert isinstance(await door.register(other), PartnerNameTaken)
    await door.revoke(partner)
    assert isinstance(await door.register(other), PartnerNameTaken)
    again = await door.register(NewPartner(partner.name, partner.tenant_id, None, "test"))
    assert again.state == "revoked"


async def test_nobody_is_registered_for_a_stranger_or_for_facts_that_never_come(door):
    nobody = NewPartner("acme-x", uuid.uuid4(), None, "test")
    assert isinstance(await door.register(nobody), TenantNotFound)
    never = NewPartner("acme-y", await door.tenant(), ("invoiceos.tenant.created.v1",), "test")
    assert isinstance(await door.register(never), EventTypeUnknown)


async def test_revoking_twice_is_stated_once(door):
    partner = await door.partner()
    first = await door.revoke(partner)
    assert first.state == (await door.revoke(partner)).state == "revoked"
    assert len(await door.unit.facts(PartnerRevoked)) == 1
