"""Payment rules: what they make of payments and of money that came, and how they come to count."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from bank import Bank
from collecting_kit import TENANT, Collecting, an_invoice
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_kit import settings_for
from pydantic import ValidationError
from test_api import PUBLIC, as_tenant

from chassis.application import build
from chassis.auth import TokenReader
from invoiceos_contracts import encode
from invoiceos_contracts.payment_v1 import (
    PaymentCanceled,
    PaymentConflicted,
    PaymentSucceeded,
)
from messaging import Writer
from provider_orchestrator.app import service
from provider_orchestrator.domain.payment_rules import (
    Came,
    PaymentFacts,
    PaymentRules,
    Terms,
    arrived,
    judge,
)
from provider_orchestrator.domain.rule_replays import judged
from reserve_ledger.domain import templates
from reserve_ledger.domain.booking import Split
from testkit.databases import ServiceDatabase
from testkit.service import under_test

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATH = "/api/v1/payment-rules"
SCOPES = frozenset({"payments:read", "payments:write", "rules:read", "rules:write"})


def facts(**more: Any) -> PaymentFacts:
    told: dict[str, Any] = {"amount_minor": 1000, "asset": "USD", "owed_minor": 1000, "at": NOON}
    return PaymentFacts.model_validate(told | more)


def rules(*named: dict[str, Any], **otherwise: Any) -> PaymentRules:
    return PaymentRules.model_validate(
        {"rules": [{"name": str(n)} | one for n, one in enumerate(named)], "otherwise": otherwise}
    )


@pytest.mark.parametrize(
    ("when", "holds", "does_not"),
    [
        ({"currencies": ["USD"]}, {}, {"asset": "EUR"}),
        ({"methods": ["card"]}, {"method": "card"}, {"method": None}),
        ({"payer_countries": ["DE"]}, {"payer_country": "DE"}, {"payer_country": None}),
        ({"timeliness": ["overdue"]}, {"timeliness": "overdue"}, {"timeliness": "expired"}),
        ({"hours_utc": {"from_hour": 9, "before_hour": 17}}, {}, {"at": NOON.replace(hour=17)}),
        (
            {"hours_utc": {"from_hour": 22, "before_hour": 6}},
            {"at": NOON.replace(hour=5)},
            {"at": NOON.replace(hour=6)},
        ),
        (
            {"amount": {"asset": "USD", "from_minor": 1000, "below_minor": 2000}},
            {"amount_minor": 1000},
            {"amount_minor": 2000, "owed_minor": 2000},
        ),
    ],
)
def test_a_rule_is_for_what_its_condition_names(
    when: dict[str, Any], holds: dict[str, Any], does_not: dict[str, Any]
) -> None:
    document = rules({"when": when, "under": "accept"})
    assert judge(facts(**holds), document).rule == "0"
    assert judge(facts(**does_not), document).rule is None


def test_a_rule_may_be_for_some_payers() -> None:
    payer = uuid4()
    document = rules({"when": {"customers": [payer]}, "capture": "manual"})
    assert judge(facts(customer_id=payer), document).manual_capture
    assert not judge(facts(), document).manual_capture


GOLDEN = [
    # terms, what came of 1000, outcome, reason
    ({}, {}, "accept", "exact"),
    ({}, {"amount_minor": 999}, "hold", "under"),
    ({}, {"amount_minor": 1001}, "hold", "over"),
    ({}, {"asset": "EUR"}, "hold", "wrong_asset"),
    ({}, {"late": True}, "accept", "late"),
    ({"late": "hold"}, {"late": True}, "hold", "late"),
    ({"tolerance_ppm": 5000}, {"amount_minor": 995}, "accept", "within_tolerance"),
    ({"tolerance_ppm": 5000}, {"amount_minor": 994}, "hold", "under"),
    ({"tolerance_ppm": 5000}, {"amount_minor": 1001}, "hold", "over"),
    ({"under": "accept"}, {"amount_minor": 1}, "accept", "under"),
    ({"over": "accept"}, {"amount_minor": 5000}, "accept", "over"),
    ({"over": "accept", "under": "accept", "late": "accept"}, {"asset": "EUR"}, "hold", None),
]


@pytest.mark.parametrize(("terms", "came", "outcome", "reason"), GOLDEN)
def test_what_is_done_with_what_came(
    terms: dict[str, Any], came: dict[str, Any], outcome: str, reason: str | None
) -> None:
    exact = {"amount_minor": 1000, "asset": "USD", "asked_minor": 1000}
    made = arrived(Terms.model_validate(terms), Came.model_validate(exact | came), "USD")
    assert (made.outcome, made.reason) == (outcome, reason or "wrong_asset")


@given(came=st.integers(1, 3000), over=st.sampled_from(["hold", "accept"]), late=st.booleans())
def test_the_lines_shown_are_those_the_ledger_books(came: int, over: str, late: bool) -> None:
    document = rules(over=over, under="accept")
    told = {"amount_minor": came, "asset": "USD", "asked_minor": 1000, "late": late}
    one = facts(came=told)
    shown = judged(one, judge(one, document))
    applied = min(came, 1000)
    split = Split("USD", came, applied, 0)
    place = templates.Place(templates.CLEARING, "stripe")
    _, legs = templates.payment(split, place)
    if "PaymentConflicted" in shown.notices:
        _, legs = templates.suspense("USD", came)
    booked = [(leg.account, leg.amount_minor) for leg in legs if leg.amount_minor]
    sides = {"debit": 1, "credit": -1}
    assert booked == [(p.account, sides[p.side] * p.amount_minor) for p in shown.postings]


@pytest.mark.parametrize(
    "document",
    [
        {"rules": [{"name": "a"}, {"name": "b"}]},
        {"rules": [{"name": "a", "when": {"methods": ["card"]}}] * 2},
        {"otherwise": {"tolerance_ppm": 1_000_000}},
        {"otherwise": {"wrong_asset": "accept"}},
        {"rules": [{"name": "a", "when": {"hours_utc": {"from_hour": 0, "before_hour": 24}}}]},
    ],
)
def test_a_document_that_cannot_be_meant_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PaymentRules.model_validate(document)


@pytest.fixture
async def collecting(place: ServiceDatabase) -> AsyncIterator[Collecting]:
    async with under_test(service, place) as unit:
        yield Collecting(unit, [Bank("stripe")])


@pytest.fixture
async def http(collecting: Collecting) -> AsyncIterator[httpx.AsyncClient]:
    app = build(service, settings_for("http://127.0.0.1:1"))
    app.state.writer = Writer(collecting.unit.api)
    app.state.api_database = collecting.unit.api
    app.state.token_reader = TokenReader(PUBLIC)
    writing = asyncio.create_task(app.state.writer.run())
    headers = as_tenant(TENANT, SCOPES)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as client:
        yield client
    writing.cancel()


async def activated(http: httpx.AsyncClient, **otherwise: Any) -> int:
    answer = await http.post(PATH, json={"rules": {"otherwise": otherwise}, "note": "a test"})
    assert answer.status_code == 201, answer.text
    version = int(answer.json()["version"])
    assert (await http.post(f"{PATH}/{version}/activate")).status_code == 200
    return version


async def paid(collecting: Collecting, http: httpx.AsyncClient, fault: str = "") -> str:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    collecting.banks[0].faults = [fault]
    body = {"invoices": [{"invoice_id": encode("inv", invoice.invoice_id)}], "method": "card"}
    answer = await http.post("/api/v1/payments", json=body)
    assert answer.status_code == 201, answer.text
    await collecting.work()
    return str(answer.json()["id"])


async def state(http: httpx.AsyncClient, intent: str) -> str:
    return str((await http.get(f"/api/v1/payment-intents/{intent}")).json()["state"])


async def test_the_terms_of_the_beginning_hold_and_each_decision_says_its_version(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    before = await paid(collecting, http, "wrong_amount")
    assert await state(http, before) == "conflicted"
    version = await activated(http, under="accept")
    after = await paid(collecting, http, "wrong_amount")
    assert await state(http, after) == "partially_captured"
    assert len(await collecting.unit.facts(PaymentConflicted)) == 1
    (counted,) = await collecting.unit.facts(PaymentSucceeded)
    assert counted.amount.amount_minor == 1249
    told = (await http.get(f"{PATH}/decisions?intent_id={after}")).json()["items"]
    assert [(one["stage"], one["rules_version"]) for one in told] == [
        ("arrived", version),
        ("begun", version),
    ]
    assert told[0]["verdict"]["arrival"]["reason"] == "under"


async def test_what_is_missing_within_the_tolerance_is_paid(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    await activated(http, tolerance_ppm=800)
    assert await state(http, await paid(collecting, http, "wrong_amount")) == "succeeded"


async def test_a_replay_shows_what_would_differ_and_nothing_else(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    await paid(collecting, http, "wrong_amount")
    await paid(collecting, http)
    same = (await http.post(f"{PATH}/replay", json={"rules": {}})).json()
    assert (same["payments"], same["changed"]) == (4, 0)
    other = {"rules": {"otherwise": {"under": "accept"}}}
    told = (await http.post(f"{PATH}/replay", json=other)).json()
    assert told["before"]["hold/under"] == told["after"]["accept/under"] == 1
    (shown,) = told["differences"]
    assert shown["facts"]["came"]["amount_minor"] == 1249
    assert shown["was"]["notices"] == ["PaymentConflicted"]
    assert shown["would_be"]["notices"] == ["PaymentSucceeded", "InvoicePartiallyPaid"]
    assert {p["account"] for p in shown["would_be"]["postings"]} == {"1300", "2110"}


async def test_rules_refuse_a_method_and_a_part(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    invoice = an_invoice()
    await collecting.unit.receives(invoice)
    part = {"invoice_id": encode("inv", invoice.invoice_id), "amount_minor": 100}
    version = await activated(http, methods=["paypal"])
    for method in ("card", None):
        body = {"invoices": [part], "method": method}
        answer = await http.post("/api/v1/payments", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "method_not_allowed")
    await activated(http, partial=False)
    answer = await http.post("/api/v1/payments", json={"invoices": [part], "method": "card"})
    assert answer.json()["code"] == "partial_not_allowed"
    told = (await http.get(f"{PATH}/decisions")).json()["items"]
    assert [one["verdict"]["refused"] for one in reversed(told)] == [
        "method_not_allowed",
        "method_not_allowed",
        "partial_not_allowed",
    ]
    assert told[-1]["rules_version"] == version


async def test_rules_let_a_person_capture_and_shorten_the_time(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    await activated(http, capture="manual", expires_in_s_max=60)
    intent = await paid(collecting, http)
    seen = (await http.get(f"/api/v1/payment-intents/{intent}")).json()
    assert (seen["state"], seen["capture"]) == ("authorized", "manual")
    lives = datetime.fromisoformat(seen["expires_at"]) - datetime.fromisoformat(seen["created_at"])
    assert lives == timedelta(seconds=60)


async def test_an_invoice_for_which_too_little_came_waits_for_nothing(
    collecting: Collecting, http: httpx.AsyncClient
) -> None:
    first, second = an_invoice(1), an_invoice(1)
    await collecting.unit.receives(first, second)
    await activated(http, under="accept")
    collecting.banks[0].faults = ["wrong_amount"]
    await collecting.create(first, second)
    await collecting.work()
    (counted,) = await collecting.unit.facts(PaymentSucceeded)
    (ended,) = await collecting.unit.facts(PaymentCanceled)
    assert (counted.invoice_id, ended.invoice_id) == (first.invoice_id, second.invoice_id)


async def test_versions_are_kept_and_an_older_one_can_come_back(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"{PATH}/active")).json()["version"] is None
    first, second = [await activated(http, tolerance_ppm=ppm) for ppm in (1, 2)]
    again = (await http.post(f"{PATH}/{first}/activate")).json()
    assert again == {"version": first, "previous": second}
    assert (await http.get(f"{PATH}/active")).json()["rules"]["otherwise"]["tolerance_ppm"] == 1
    page = (await http.get(PATH)).json()["items"]
    assert [(one["version"], one["active"]) for one in page] == [(2, False), (1, True)]
    assert (await http.post(f"{PATH}/9/activate")).json()["code"] == "payment_rules_not_found"
    other = as_tenant(uuid4(), SCOPES)
    assert (await http.get(f"{PATH}/1", headers=other)).status_code == 404
    reader = as_tenant(TENANT, frozenset({"rules:read"}))
    assert (await http.post(f"{PATH}/1/activate", headers=reader)).status_code == 403


async def test_a_preview_tells_lines_and_notices_and_keeps_nothing(
    http: httpx.AsyncClient,
) -> None:
    payment = {
        "amount_minor": 1000,
        "asset": "USD",
        "owed_minor": 1000,
        "at": NOON.isoformat(),
        "came": {"amount_minor": 1500, "asset": "USD", "asked_minor": 1000},
    }
    accepting = {"otherwise": {"over": "accept"}}
    answer = await http.post(f"{PATH}/preview", json={"payment": payment, "rules": accepting})
    told = answer.json()
    assert told["notices"] == ["PaymentSucceeded", "InvoiceOverpaid"]
    assert [(p["account"], p["side"], p["amount_minor"]) for p in told["postings"]] == [
        ("1300", "debit", 1500),
        ("2110", "credit", 1000),
        ("2500", "credit", 500),
    ]
    assert (await http.get(f"{PATH}/decisions")).json()["items"] == []
