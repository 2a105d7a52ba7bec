"""The HTTP side: what is taken, what is refused, what is shown to whom."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from invoice.commands.tell_links import tell_links
from invoice.settings import link_key, link_of
from invoiceos_contracts import PLATFORM, decode, encode
from invoiceos_contracts.invoice_v1 import InvoiceLinkTold
from invoiceos_contracts.provider_v1 import ProviderHealthChanged, ProviderMethodsDeclared
from testkit.service import ServiceUnderTest, record_of

Client = Callable[..., httpx.AsyncClient]
INVOICES = "/api/v1/invoices"


def body(**other: Any) -> dict[str, Any]:
    line = {"description": "Work", "quantity": "2", "unit_price_minor": 500}
    return {"asset": "USD", "due_at": "2030-01-01T00:00:00Z", "lines": [line]} | other


def line(**other: Any) -> dict[str, Any]:
    return {"description": "Work", "quantity": "2", "unit_price_minor": 500} | other


async def drafted(client: httpx.AsyncClient, **other: Any) -> Any:
    answer = await client.post(INVOICES, json=body(**other))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def opened(unit: ServiceUnderTest, shop: Any, client: httpx.AsyncClient, **other: Any) -> Any:
    made = await drafted(client, issue=True, **other)
    await unit.receives(shop.news.ready(shop.tenant, decode("inv", made["id"])))
    return (await client.get(f"{INVOICES}/{made['id']}")).json()


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


async def test_an_invoice_goes_from_draft_to_open_and_is_shown_whole(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    taxes = [{"code": "VAT", "name": "VAT", "rate_ppm": 190_000}]
    made = await client.post(
        INVOICES,
        json=body(
            lines=[line(taxes=taxes), line(discount={"percent_ppm": 500_000}, quantity="0.5")],
            discount={"amount_minor": 25},
            reference="PO-7",
            customer={"name": "Ada", "email": "ada@example.test", "address": ["1 Way"]},
        ),
    )
    assert made.status_code == 201
    assert made.headers["etag"] == '"1"'
    draft = made.json()
    assert draft["label"] == "Draft"
    assert draft["subtotal"] == {"amount_minor": 1125, "asset": "USD"}
    assert draft["discount"]["amount_minor"] == 25
    assert (
        draft["net"]["amount_minor"] + draft["tax"]["amount_minor"]
        == draft["total"]["amount_minor"]
    )
    assert draft["tax"]["amount_minor"] == draft["taxes"][0]["amount"]["amount_minor"] > 0
    issued = await client.post(f"{INVOICES}/{draft['id']}/issue")
    assert issued.json()["status"]["document"] == "issuing"
    await unit.receives(shop.news.ready(shop.tenant, decode("inv", draft["id"])))
    shown = await client.get(f"{INVOICES}/{draft['id']}")
    found = shown.json()
    assert shown.headers["etag"] == '"3"'
    assert found["number"] == "INV-000001"
    assert found["status"] == {
        "document": "open",
        "settlement": "unpaid",
        "timeliness": "on_time",
    }
    assert found["label"] == "Awaiting payment"
    assert found["recipient"]["name"] == "Ada"
    assert found["issuer"]["name"] == "Unnamed issuer"
    assert found["wallet"]["accepted_assets"] == ["PATHUSD", "ALPHAUSD"]
    assert found["payment_link"].startswith("https://pay.example.test/pay/")
    assert await shop.kinds() == ["InvoiceCreated", "InvoiceIssuing", "InvoiceIssued"]


BAD_BODIES: list[tuple[str, dict[str, Any]]] = [
    ("negative price", body(lines=[line(unit_price_minor=-1)])),
    ("float price", body(lines=[line(unit_price_minor=1.5)])),
    ("whole float price", body(lines=[line(unit_price_minor=500.0)])),
    ("text price", body(lines=[line(unit_price_minor="500")])),
    ("true price", body(lines=[line(unit_price_minor=True)])),
    ("huge price", body(lines=[line(unit_price_minor=10**19)])),
    ("price above the asset's limit", body(lines=[line(unit_price_minor=10**17)])),
    ("huge total", body(lines=[line(unit_price_minor=10**13, quantity="100")])),
    ("zero total", body(lines=[line(unit_price_minor=0)])),
    ("zero quantity", body(lines=[line(quantity="0.000")])),
    ("negative quantity", body(lines=[line(quantity="-1")])),
    ("number quantity", body(lines=[line(quantity=1)])),
    ("exponent quantity", body(lines=[line(quantity="1e3")])),
    ("arabic digits", body(lines=[line(quantity="\u0661")])),
    ("seven decimals", body(lines=[line(quantity="1.0000001")])),
    ("no lines", body(lines=[])),
    (
        "too many lines",
        body(lines=[{"description": "W", "quantity": "1", "unit_price_minor": 1}] * 1001),
    ),
    ("unknown currency", body(asset="ZZZ")),
    ("lower case currency", body(asset="usd")),
    ("a currency for one line", body(lines=[line(asset="EUR")])),
    ("unknown field", body(state="paid")),
    ("tenant in the body", body(tenant_id="ten_1")),
    ("amount object for a price", body(lines=[line(unit_price_minor={"amount_minor": 1})])),
    ("both discounts", body(discount={"percent_ppm": 1, "amount_minor": 1})),
    ("empty discount", body(discount={})),
    ("discount above the amount", body(discount={"amount_minor": 1001})),
    ("discount above a whole", body(discount={"percent_ppm": 1_000_001})),
    ("negative tax", body(lines=[line(taxes=[{"code": "A", "name": "A", "rate_ppm": -1}])])),
    (
        "a tax twice",
        body(lines=[line(taxes=[{"code": "A", "name": "A", "rate_ppm": 1}] * 2)]),
    ),
    ("tolerance above 5 %", body(tolerance={"percent_ppm": 50_001})),
    ("tolerance of everything", body(tolerance={"amount_minor": 1000})),
    ("time without offset", body(due_at="2030-01-01T00:00:00")),
    ("time as a number", body(due_at=1_900_000_000)),
    ("time out of range", body(due_at="9999-12-31T23:59:59-14:00")),
    ("no such day", body(due_at="2030-02-30T00:00:00Z")),
    ("no time to live", body(wallet={"ttl_s": 0})),
    ("no watch window", body(wallet={"watch_window_s": 0})),
    ("two expiries", body(wallet={"ttl_s": 5}, payable_until="2030-01-01T00:00:00Z")),
    ("two customers", body(customer_id=encode("cus", uuid4()), customer={"name": "A"})),
    ("id of another kind", body(customer_id=encode("inv", uuid4()))),
    ("direction control", body(reference="a\u202eb")),
    ("empty reference", body(reference="")),
    ("long reference", body(reference="x" * 201)),
    ("e-mail with a line break", body(customer={"name": "A", "email": "a@b.c\r\nBcc: x@y.z"})),
    ("text for a flag", body(issue="yes")),
    ("unknown mode", body(wallet={"mode": "eternal"})),
]


@pytest.mark.parametrize(("name", "bad"), BAD_BODIES, ids=[name for name, _ in BAD_BODIES])
async def test_what_is_not_an_invoice_is_refused_and_leaves_nothing(
    unit: ServiceUnderTest, shop: Any, client_of: Client, name: str, bad: dict[str, Any]
) -> None:
    client = client_of(shop.tenant)
    answer = await client.post(INVOICES, json=bad)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"]
    assert (await client.get(INVOICES)).json()["items"] == []
    assert (await client.get("/api/v1/customers")).json()["items"] == []
    assert await unit.facts() == []


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b'{"asset": NaN}', 400, "malformed_body"),
        (b'{"asset": 1e400}', 400, "malformed_body"),
        (b'{"asset": "USD", "asset": "EUR"}', 400, "malformed_body"),
        (b'{"reference": "\\u0000"}', 400, "malformed_body"),
        (b'{"reference": "\\ud800"}', 400, "malformed_body"),
        (b"\xff\xfe", 400, "malformed_body"),
        (b"[" * 100_000, 400, "malformed_body"),
        (b"[]", 422, "invalid_request"),
        (b"", 422, "invalid_request"),
        (b'"' + b"x" * 300_000 + b'"', 413, "body_too_large"),
        (b'{"asset": ' + b"9" * 5000 + b"}", 400, "malformed_body"),
    ],
)
async def test_what_is_not_json_is_refused(
    shop: Any, client_of: Client, raw: bytes, status: int, code: str
) -> None:
    client = client_of(shop.tenant)
    headers = {"Content-Type": "application/json"}
    for method, path in (
        ("POST", INVOICES),
        ("POST", "/api/v1/customers"),
        ("PATCH", f"{INVOICES}/{encode('inv', uuid4())}"),
        ("PUT", "/api/v1/issuer-profile"),
    ):
        assert_problem(
            await client.request(method, path, content=raw, headers=headers), status, code
        )


async def test_another_media_type_is_refused(shop: Any, client_of: Client) -> None:
    answer = await client_of(shop.tenant).post(
        INVOICES, content=b"a=b", headers={"Content-Type": "text/plain"}
    )
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=nonsense",
        "document=lost",
        "settlement=PAID",
        "customer_id=cus_1",
        "number=%E2%80%AE",
        "due_before=yesterday",
        "created_after=0001-01-01T00:00:00%2B14:00",
        "due_after=1700000000",
    ],
)
async def test_a_bad_filter_is_refused(shop: Any, client_of: Client, query: str) -> None:
    answer = await client_of(shop.tenant).get(f"{INVOICES}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"]


async def test_lists_filter_and_page_without_a_gap(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    customer = (await client.post("/api/v1/customers", json={"name": "Ada"})).json()["id"]
    made = [await drafted(client, reference=f"r{n}") for n in range(5)]
    with_customer = await drafted(client, customer_id=customer, due_at="2031-01-01T00:00:00Z")
    is_open = await opened(unit, shop, client)
    newest_first = [is_open["id"], with_customer["id"]] + [m["id"] for m in reversed(made)]
    seen, cursor = [], None
    while True:
        found = await client.get(
            INVOICES, params={"limit": 3} | ({"cursor": cursor} if cursor else {})
        )
        seen += [item["id"] for item in found.json()["items"]]
        cursor = found.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == newest_first
    for query, expected in (
        ({"document": "open"}, [is_open["id"]]),
        ({"settlement": "paid"}, []),
        ({"timeliness": "on_time"}, newest_first),
        ({"customer_id": customer}, [with_customer["id"]]),
        ({"reference": "r3"}, [made[3]["id"]]),
        ({"number": "INV-000001"}, [is_open["id"]]),
        ({"due_after": "2031-01-01T00:00:00Z"}, [with_customer["id"]]),
        ({"due_before": "2030-01-01T00:00:00Z"}, []),
        ({"created_before": "2000-01-02T00:00:00Z"}, []),
        ({"created_after": with_customer["created_at"]}, newest_first[:2]),
    ):
        found = await client.get(INVOICES, params=query)
        assert [item["id"] for item in found.json()["items"]] == expected, query


async def test_a_draft_is_edited_only_by_who_knows_its_version(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    draft = await drafted(client, reference="old", discount={"amount_minor": 100})
    path = f"{INVOICES}/{draft['id']}"
    edited = await client.patch(
        path,
        json={"lines": [line(quantity="3")], "reference": None, "discount": None},
        headers={"If-Match": '"1"'},
    )
    assert edited.status_code == 200, edited.text
    assert edited.headers["etag"] == '"2"'
    assert edited.json()["total"]["amount_minor"] == 1500
    assert edited.json()["reference"] is None
    assert (await client.get(path)).content == edited.content
    stale = {"If-Match": '"1"'}
    assert_problem(await client.patch(path, json={}, headers=stale), 412, "version_mismatch")
    assert_problem(await client.delete(path, headers=stale), 412, "version_mismatch")
    assert_problem(await client.post(f"{path}/issue", headers=stale), 412, "version_mismatch")
    bad = await client.patch(path, json={}, headers={"If-Match": "abc"})
    assert_problem(bad, 422, "invalid_if_match")
    for change, code in (
        ({"asset": "EUR"}, "invalid_request"),
        ({"due_at": None}, "invalid_request"),
        ({"discount": {"amount_minor": 1501}}, "invalid_discount"),
        ({"discount": {"amount_minor": 10**18}}, "amount_out_of_range"),
        ({"lines": [line(unit_price_minor=0)]}, "total_not_positive"),
        ({"tolerance": {"amount_minor": 1500}}, "tolerance_too_large"),
    ):
        assert_problem(await client.patch(path, json=change), 422, code)
    stranger = {"customer_id": encode("cus", uuid4())}
    assert_problem(await client.patch(path, json=stranger), 404, "customer_not_found")
    assert (await client.get(path)).content == edited.content
    assert await shop.kinds() == ["InvoiceCreated", "InvoiceUpdated"]


async def test_two_edits_of_one_version_at_once_let_one_through(
    shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    draft = await drafted(client)
    edits = [
        client.patch(
            f"{INVOICES}/{draft['id']}", json={"reference": f"r{n}"}, headers={"If-Match": '"1"'}
        )
        for n in range(5)
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*edits))
    assert statuses == [200, 412, 412, 412, 412]


async def test_a_deleted_draft_is_gone(shop: Any, client_of: Client) -> None:
    client = client_of(shop.tenant)
    path = f"{INVOICES}/{(await drafted(client))['id']}"
    answer = await client.delete(path, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(await client.get(path), 404, "invoice_not_found")
    assert_problem(await client.delete(path), 404, "invoice_not_found")
    assert_problem(await client.patch(path, json={}), 404, "invoice_not_found")
    assert_problem(await client.post(f"{path}/issue"), 404, "invoice_not_found")
    assert (await client.get(INVOICES)).json()["items"] == []
    assert await shop.kinds() == ["InvoiceCreated", "InvoiceDeleted"]


async def test_illegal_steps_are_refused_with_their_own_codes(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    draft = f"{INVOICES}/{(await drafted(client))['id']}"
    reason = {"reason": "mistake"}
    assert_problem(await client.post(f"{draft}/void", json=reason), 409, "invoice_not_open")
    invoice = await opened(unit, shop, client)
    path = f"{INVOICES}/{invoice['id']}"
    assert_problem(await client.post(f"{path}/issue"), 409, "invoice_not_issuable")
    assert_problem(await client.patch(path, json={}), 409, "invoice_not_draft")
    assert_problem(await client.delete(path), 409, "invoice_not_draft")
    assert_problem(await client.post(f"{path}/void", json={}), 422, "invalid_request")
    key = decode("inv", invoice["id"])
    booking = shop.news.booked(shop.tenant, key, uuid4(), uuid4(), 1)
    await unit.receives(booking)
    assert_problem(await client.post(f"{path}/void", json=reason), 409, "invoice_has_money")
    await unit.receives(shop.news.reversed(booking, uuid4()))
    void = await client.post(f"{path}/void", json=reason)
    assert (void.status_code, void.json()["label"]) == (200, "Void")
    assert_problem(await client.post(f"{path}/void", json=reason), 409, "invoice_not_open")
    assert_problem(await client.post(f"{path}/send"), 409, "invoice_not_issuable")
    late = f"{INVOICES}/{(await drafted(client, payable_until='2020-01-01T00:00:00Z'))['id']}"
    assert_problem(await client.post(f"{late}/issue"), 409, "payable_until_passed")
    at_once = body(payable_until="2020-01-01T00:00:00Z", issue=True)
    assert_problem(await client.post(INVOICES, json=at_once), 409, "payable_until_passed")


async def test_send_issues_a_draft_and_leaves_an_open_invoice_alone(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    path = f"{INVOICES}/{(await drafted(client))['id']}"
    sent = await client.post(f"{path}/send")
    assert sent.json()["status"]["document"] == "issuing"
    assert (await client.post(f"{path}/send")).json() == sent.json()
    await unit.receives(shop.news.ready(shop.tenant, decode("inv", sent.json()["id"])))
    before = (await client.get(path)).json()
    again = await client.post(f"{path}/send")
    assert (again.status_code, again.json()) == (200, before)
    assert (await shop.kinds()).count("InvoiceIssuing") == 1


async def test_a_repeated_key_gives_the_same_bytes_and_one_effect(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    headers = {"Idempotency-Key": "k1"}
    sent = json.dumps(body(issue=True))
    kind = {"Content-Type": "application/json"}
    answers = await asyncio.gather(
        *(client.post(INVOICES, content=sent, headers=headers | kind) for _ in range(8))
    )
    answers.append(await client.post(INVOICES, content=sent, headers=headers | kind))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.headers["etag"] for answer in answers} == {'"1"'}
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 8
    await unit.receives(shop.news.ready(shop.tenant, decode("inv", answers[0].json()["id"])))
    waiting = headers | kind | {"Prefer": "wait=5"}
    replay = await client.post(INVOICES, content=sent, headers=waiting)
    assert replay.content == answers[0].content
    other = await client.post(INVOICES, json=body(reference="other"), headers=headers)
    assert_problem(other, 422, "idempotency_key_reused")
    assert len((await client.get(INVOICES)).json()["items"]) == 1
    stranger = client_of(uuid4())
    theirs = await stranger.post(INVOICES, content=sent, headers=headers | kind)
    assert theirs.json()["id"] != answers[0].json()["id"]
    bad = await client.post(INVOICES, json=body(), headers={"Idempotency-Key": "x" * 256})
    assert_problem(bad, 422, "invalid_idempotency_key")


async def test_a_refused_request_leaves_its_key_free(shop: Any, client_of: Client) -> None:
    client = client_of(shop.tenant)
    path = f"{INVOICES}/{(await drafted(client))['id']}/void"
    for _ in range(2):
        answer = await client.post(path, json={"reason": "r"}, headers={"Idempotency-Key": "same"})
        assert_problem(answer, 409, "invoice_not_open")


async def test_prefer_wait_holds_the_answer_until_the_invoice_is_open(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client = client_of(shop.tenant)
    prefer = {"Prefer": "respond-async, wait=20"}
    posts = [
        asyncio.create_task(client.post(INVOICES, json=body(issue=True), headers=prefer))
        for _ in range(3)
    ]
    while len(found := (await client.get(INVOICES)).json()["items"]) < 3:
        await asyncio.sleep(0.01)
    assert not any(post.done() for post in posts)
    ids = [decode("inv", item["id"]) for item in found]
    ready = [shop.news.ready(shop.tenant, ids[0]), shop.news.ready(shop.tenant, ids[1])]
    await unit.receives(*ready, shop.news.failed(shop.tenant, ids[2]))
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.headers["preference-applied"] for answer in answers} == {"wait=20"}
    states = sorted(answer.json()["status"]["document"] for answer in answers)
    assert states == ["issue_failed", "open", "open"]
    path = f"{INVOICES}/{(await drafted(client))['id']}"
    given = await client.post(f"{path}/issue", headers={"Prefer": "wait=1"})
    assert given.json()["status"]["document"] == "issuing"
    assert given.headers["preference-applied"] == "wait=1"


async def test_nobody_sees_or_changes_what_belongs_to_another_tenant(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client, stranger = client_of(shop.tenant), client_of(uuid4())
    invoice = await opened(unit, shop, client, customer={"name": "Ada"})
    draft = await drafted(client)
    absent = encode("inv", uuid4())
    for item in (draft["id"], invoice["id"]):
        for method, tail, sent in (
            ("GET", "", None),
            ("PATCH", "", {}),
            ("DELETE", "", None),
            ("POST", "/issue", None),
            ("POST", "/send", None),
            ("POST", "/void", {"reason": "r"}),
        ):
            theirs = await stranger.request(method, f"{INVOICES}/{item}{tail}", json=sent)
            nobodys = await stranger.request(method, f"{INVOICES}/{absent}{tail}", json=sent)
            assert_problem(theirs, 404, "invoice_not_found")
            assert theirs.content == nobodys.content
    customer = f"/api/v1/customers/{invoice['customer_id']}"
    assert_problem(await stranger.get(customer), 404, "customer_not_found")
    assert_problem(await stranger.patch(customer, json={}), 404, "customer_not_found")
    used = await stranger.post(INVOICES, json=body(customer_id=invoice["customer_id"]))
    assert_problem(used, 404, "customer_not_found")
    for path in (INVOICES, "/api/v1/customers"):
        assert (await stranger.get(path)).json()["items"] == []
    assert (await client.get(f"{INVOICES}/{invoice['id']}")).json() == invoice


async def test_every_route_asks_for_its_scope(shop: Any, client_of: Client) -> None:
    nobody, limited = client_of(None), client_of(shop.tenant, frozenset({"wallets:read"}))
    one, customer = encode("inv", uuid4()), encode("cus", uuid4())
    for method, path, sent in (
        ("GET", INVOICES, None),
        ("POST", INVOICES, body()),
        ("GET", f"{INVOICES}/{one}", None),
        ("PATCH", f"{INVOICES}/{one}", {}),
        ("DELETE", f"{INVOICES}/{one}", None),
        ("POST", f"{INVOICES}/{one}/issue", None),
        ("POST", f"{INVOICES}/{one}/send", None),
        ("POST", f"{INVOICES}/{one}/void", {"reason": "r"}),
        ("GET", "/api/v1/customers", None),
        ("POST", "/api/v1/customers", {"name": "A"}),
        ("GET", f"/api/v1/customers/{customer}", None),
        ("PATCH", f"/api/v1/customers/{customer}", {}),
        ("GET", "/api/v1/issuer-profile", None),
        ("PUT", "/api/v1/issuer-profile", {"name": "A"}),
    ):
        assert_problem(await nobody.request(method, path, json=sent), 401, "unauthenticated")
        assert_problem(await limited.request(method, path, json=sent), 403, "scope_missing")


async def test_customers_are_kept_found_and_changed(shop: Any, client_of: Client) -> None:
    client = client_of(shop.tenant)
    sent = {
        "name": "Zoë",
        "email": "z@example.test",
        "address": ["1 Way", "City"],
        "reference": "C",
    }
    made = await client.post("/api/v1/customers", json=sent)
    assert made.status_code == 201
    path = f"/api/v1/customers/{made.json()['id']}"
    assert {name: made.json()[name] for name in sent} == sent
    await client.post("/api/v1/customers", json={"name": "Other"})
    found = (await client.get("/api/v1/customers", params={"reference": "C"})).json()["items"]
    assert [item["id"] for item in found] == [made.json()["id"]]
    changed = await client.patch(path, json={"email": None}, headers={"If-Match": '"1"'})
    assert (changed.json()["email"], changed.headers["etag"]) == (None, '"2"')
    assert (await client.get(path)).json()["name"] == "Zoë"
    stale = await client.patch(path, json={"name": "X"}, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "version_mismatch")
    for bad in ({"name": None}, {"id": "x"}, {"name": ""}, {"email": "nobody"}, {"address": None}):
        assert (await client.patch(path, json=bad)).status_code == 422


async def test_the_issuer_profile_names_the_issuer(shop: Any, client_of: Client) -> None:
    client = client_of(shop.tenant)
    path = "/api/v1/issuer-profile"
    assert (await client.get(path)).json() == {
        "name": "Unnamed issuer",
        "address": [],
        "version": 0,
    }
    for version, name in ((1, "First"), (2, "Second")):
        put = await client.put(path, json={"name": name, "address": ["a"]})
        assert put.json() == {"name": name, "address": ["a"], "version": version}
    assert (await client.get(path)).json()["name"] == "Second"


async def test_a_payment_link_shows_how_to_pay_and_nothing_of_the_customer(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client, payer = client_of(shop.tenant), client_of(None)
    evil = '<script>alert("x")</script>'
    await client.put("/api/v1/issuer-profile", json={"name": evil})
    invoice = await opened(unit, shop, client, customer={"name": "Ada", "email": "a@b.example"})
    token = invoice["payment_link"].rpartition("/")[2]
    data = await payer.get(f"/api/v1/payment-links/{token}")
    assert data.status_code == 200
    shown = data.json()
    assert shown["number"] == "INV-000001"
    assert (shown["address"], shown["memo"]) == ("0x" + "ab" * 20, "cd" * 32)
    assert (shown["payable"], shown["due"]["amount_minor"]) == (True, 1000)
    page = await payer.get(f"/pay/{token}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert page.text.count("<script") == 1 and "&lt;script&gt;" in page.text
    for text in ("10.00 USD", "0x" + "ab" * 20, "cd" * 32, "PATHUSD, ALPHAUSD", "Awaiting payment"):
        assert text in page.text
    assert "Ada" not in page.text + data.text and "a@b" not in page.text + data.text
    assert "<svg" in page.text and "(chain " in page.text
    news = f"/api/v1/payment-links/{token}/state"
    before = (await payer.get(news)).json()
    assert f'data-watch="{news}" data-state="{before["state"]}"' in page.text
    booking = shop.news.booked(
        shop.tenant, decode("inv", invoice["id"]), uuid4(), uuid4(), 10_000_000
    )
    await unit.receives(booking)
    after = await payer.get(f"/pay/{token}")
    assert "0x" + "ab" * 20 not in after.text and "Nothing more is to be paid" in after.text
    assert "<svg" not in after.text and "Do not send" not in after.text
    assert (await payer.get(f"/api/v1/payment-links/{token}")).json()["payable"] is False
    told = (await payer.get(news)).json()
    assert told["payable"] is False and told["state"] != before["state"]


async def test_the_page_of_a_void_invoice_warns_whoever_would_still_pay(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    merchant = client_of(shop.tenant)
    invoice = await opened(unit, shop, merchant)
    await merchant.post(f"/api/v1/invoices/{invoice['id']}/void", json={"reason": "a mistake"})
    page = (await client_of(None).get(f"/pay/{invoice['payment_link'].rpartition('/')[2]}")).text
    assert "Do not send money" in page and "Nothing more is to be paid" not in page


async def test_the_page_of_a_part_payment_shows_how_far_it_is(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    invoice = await opened(unit, shop, client_of(shop.tenant))
    key = decode("inv", invoice["id"])
    await unit.receives(shop.news.booked(shop.tenant, key, uuid4(), uuid4(), 4_000_000))
    token = invoice["payment_link"].rpartition("/")[2]
    page = (await client_of(None).get(f"/pay/{token}")).text
    assert '<progress max="1000" value="400">' in page
    assert "4.00 USD of 10.00 USD received" in page and "6.00 USD" in page


async def test_the_page_offers_what_providers_really_take(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    payer = client_of(None)
    invoice = await opened(unit, shop, client_of(shop.tenant))
    token = invoice["payment_link"].rpartition("/")[2]
    card = {"provider": "stripe", "rail": "card", "methods": ("card",), "assets": ("EUR", "USD")}
    wallet = {"provider": "paypal", "rail": "wallet", "methods": ("paypal",), "assets": ("USD",)}
    others = {"provider": "other", "rail": "x", "methods": ("paypal", "cheque"), "assets": ("JPY",)}
    await unit.receives(
        *(declared(version=2, **one) for one in (card, wallet, others)),
        declared(version=1, **{**card, "methods": ()}),
    )
    page = await payer.get(f"/pay/{token}")
    assert re.findall(r'name="method" value="(\w+)"', page.text) == ["card", "paypal"]
    assert page.text.count(f'<form method="post" action="/pay/with/{token}">') == 2
    policy = page.headers["content-security-policy"]
    assert policy.endswith("form-action 'self' https://*.paypal.test https://*.stripe.test")
    shown = (await payer.get(f"/api/v1/payment-links/{token}")).json()
    assert shown["methods"] == ["card", "paypal"]
    for word in (
        "back",
        "failed",
        "payment_link_not_found",
        "method_not_allowed",
        "too_many_tries",
    ):
        known = await payer.get(f"/pay/{token}?news={word}")
        assert 'role="status"' in known.text, word
    for odd in ("<script>", "x", ""):
        strange = await payer.get(f"/pay/{token}", params={"news": odd})
        assert strange.status_code == 200 and 'role="status"' not in strange.text
    evil = {"provider": "stripe", "rail": "card", "methods": ("card",), "assets": ("USD",)}
    bad = declared(version=3, **evil, pages=("https://x.test; script-src *", "https://ok.test"))
    gone = declared(version=3, **{**wallet, "methods": ()})
    tight = declared(version=3, **others, amount_max_minor=1)
    await unit.receives(bad, gone, tight)
    page = await payer.get(f"/pay/{token}")
    assert re.findall(r'name="method" value="(\w+)"', page.text) == ["card"]
    assert page.headers["content-security-policy"].endswith("form-action 'self' https://ok.test")
    booking = shop.news.booked(
        shop.tenant, decode("inv", invoice["id"]), uuid4(), uuid4(), 10_000_000
    )
    await unit.receives(booking)
    paid = await payer.get(f"/pay/{token}?news=back")
    assert "<form" not in paid.text and 'role="status"' not in paid.text
    assert "form-action 'none'" in paid.headers["content-security-policy"]


async def test_what_is_not_well_is_not_offered(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    payer = client_of(None)
    invoice = await opened(unit, shop, client_of(shop.tenant))
    token = invoice["payment_link"].rpartition("/")[2]
    card = {"provider": "stripe", "rail": "card", "methods": ("card",), "assets": ("USD",)}
    wallet = {"provider": "paypal", "rail": "wallet", "methods": ("paypal",), "assets": ("USD",)}
    await unit.receives(declared(version=9, **card), declared(version=9, **wallet))

    async def offered(*changes: Any) -> list[str]:
        await unit.receives(*changes)
        page = (await payer.get(f"/pay/{token}")).text
        return re.findall(r'name="method" value="(\w+)"', page)

    assert await offered() == ["card", "paypal"]
    assert await offered(circuit(5, "open", "USD"), circuit(4, "closed", "USD")) == ["paypal"]
    assert await offered(circuit(6, "half_open", "USD")) == ["card", "paypal"]
    assert await offered(circuit(2, "open", "EUR")) == ["card", "paypal"]
    assert await offered(circuit(2, "open", None)) == ["paypal"]
    assert await offered(circuit(3, "closed", None)) == ["card", "paypal"]


def circuit(version: int, state: str, currency: str | None) -> Any:
    changed = ProviderHealthChanged(
        tenant_id=PLATFORM,
        provider_id=uuid4(),
        provider="stripe",
        rail="card",
        currency=currency,
        old="closed" if state == "open" else "open",
        new=state,
        score_ppm=500_000,
        samples=10,
        cause="timeout",
        at=datetime.now(UTC),
    )
    return record_of(changed, version=version)


def declared(version: int, provider: str, **more: Any) -> Any:
    told: dict[str, Any] = {
        "tenant_id": PLATFORM,
        "provider_id": uuid4(),
        "provider": provider,
        "amount_max_minor": 5000,
        "pages": (f"https://*.{provider}.test",),
    }
    return record_of(ProviderMethodsDeclared(**(told | more)), version=version)


async def test_style_and_script_have_names_that_change_with_them(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client, payer = client_of(shop.tenant), client_of(None)
    invoice = await opened(unit, shop, client)
    page = (await payer.get(f"/pay/{invoice['payment_link'].rpartition('/')[2]}")).text
    names = re.findall(r"/pay/assets/pay\.[0-9a-f]{12}\.(?:css|js)", page)
    assert len(names) == 2
    for name in names:
        found = await payer.get(name)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
    assert (await payer.get("/pay/assets/pay.css")).status_code == 404


async def test_a_link_that_was_not_given_leads_nowhere(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    client, payer = client_of(shop.tenant), client_of(None)
    invoice = await opened(unit, shop, client)
    token = invoice["payment_link"].rpartition("/")[2]
    from invoice.domain.links import PaymentLink, read_token

    link = read_token(token)
    assert link is not None
    foreign = PaymentLink(UUID(int=5), link.secret).token
    guessed = PaymentLink(link.tenant_id, bytes(16)).token
    for bad in (foreign, guessed, token[:-1], token + "A", "x", "%00", "a" * 43, "é" * 43):
        assert_problem(
            await payer.get(f"/api/v1/payment-links/{bad}"), 404, "payment_link_not_found"
        )
        page = await payer.get(f"/pay/{bad}")
        assert page.status_code == 404
        assert "no such payment link" in page.text
    assert (await payer.get(f"/pay/{token}")).status_code == 200


async def test_texts_come_back_as_they_were_sent(shop: Any, client_of: Client) -> None:
    client = client_of(shop.tenant)
    for text in ("'; drop table invoice; --", "${jndi:ldap://x}", "=1+1", "日本語 ✓", "a\nb\tc"):
        draft = await drafted(client, reference=text, lines=[line(description=text)])
        shown = (await client.get(f"{INVOICES}/{draft['id']}")).json()
        assert (shown["reference"], shown["lines"][0]["description"]) == (text, text)
        found = await client.get(INVOICES, params={"reference": text})
        assert [item["id"] for item in found.json()["items"]] == [draft["id"]]


async def test_a_thousand_lines_are_taken(shop: Any, client_of: Client) -> None:
    tiny = {"description": "W", "quantity": "1", "unit_price_minor": 1}
    draft = await drafted(client_of(shop.tenant), lines=[tiny] * 1000)
    assert draft["total"]["amount_minor"] == 1000
    assert len(draft["lines"]) == 1000


@pytest.mark.parametrize("round_", range(5))
async def test_a_void_and_a_booking_at_once_never_lose_the_money(
    unit: ServiceUnderTest, shop: Any, client_of: Client, round_: int
) -> None:
    client = client_of(shop.tenant)
    invoice = await opened(unit, shop, client)
    key = decode("inv", invoice["id"])
    booking = shop.news.booked(shop.tenant, key, uuid4(), uuid4(), 10_000_000)
    void = client.post(f"{INVOICES}/{invoice['id']}/void", json={"reason": "r"})
    answer, _ = await asyncio.gather(void, unit.receives(booking))
    kinds = await shop.kinds()
    if answer.status_code == 200:
        assert await shop.axes(key) == ("void", "unpaid", "on_time")
        assert kinds[-2:] == ["InvoiceVoided", "InvoiceLatePayment"]
    else:
        assert_problem(answer, 409, "invoice_has_money")
        assert await shop.axes(key) == ("open", "paid", "on_time")


async def test_links_of_open_invoices_are_told_once_and_where_it_died_it_goes_on(
    unit: ServiceUnderTest, shop: Any, client_of: Client
) -> None:
    made = [await opened(unit, shop, client_of(shop.tenant)) for _ in range(3)]
    draft = await drafted(client_of(shop.tenant))
    with pytest.raises(RuntimeError):
        async with unit.worker.transaction() as tx:
            await tell_links(tx, 2, link_key(), link_of)
            raise RuntimeError
    while True:
        async with unit.worker.transaction() as tx:
            if not await tell_links(tx, 2, link_key(), link_of):
                break
    async with unit.worker.transaction() as tx:
        assert await tell_links(tx, 2, link_key(), link_of) == 0
    told = {one.invoice_id: one.payment_link for one in await unit.facts(InvoiceLinkTold)}
    ours = {decode("inv", one["id"]): one["payment_link"] for one in made}
    assert ours.items() <= told.items()
    assert decode("inv", draft["id"]) not in told
    assert len(told) == len(await unit.facts(InvoiceLinkTold))
    await unit.worker.pool.execute("update link_telling set done = false")
