"""Bad input at the gateway: a problem document with a stable code, no change, never a 500."""

import copy
import json

import pytest

from invoiceos_local.demo.client import an_invoice


def changed(path, value):
    body = copy.deepcopy(an_invoice("Bad", 10_000, watch_window_s=3600))
    target = body
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return json.dumps(body)


PRICE = ("lines", 0, "unit_price_minor")
QUANTITY = ("lines", 0, "quantity")
GOOD = json.dumps(an_invoice("Good", 10_000, watch_window_s=3600))
CASES = {
    "negative price": (changed(PRICE, -1), {422}),
    "zero total": (changed(PRICE, 0), {422}),
    "float price": (changed(PRICE, 10.5), {422}),
    "whole float price": (changed(PRICE, 10.0), {422}),
    "text price": (changed(PRICE, "100"), {422}),
    "boolean price": (changed(PRICE, True), {422}),
    "NaN price": (changed(PRICE, float("nan")), {400}),
    "infinite price": (changed(PRICE, float("inf")), {400}),
    "price beyond all floats": (GOOD.replace("10000", "1e400"), {400}),
    "huge price": (changed(PRICE, 10**30), {422}),
    "price of 4000 digits": (GOOD.replace("10000", "9" * 4000), {400, 422}),
    "price at the border of 64 bits": (changed(PRICE, 2**63), {422}),
    "total out of range": (changed(QUANTITY, "999999999999"), {422}),
    "quantity with exponent": (changed(QUANTITY, "1e5"), {422}),
    "quantity in other digits": (changed(QUANTITY, "١"), {422}),
    "quantity with underscore": (changed(QUANTITY, "1_0"), {422}),
    "negative quantity": (changed(QUANTITY, "-1"), {422}),
    "quantity as number": (changed(QUANTITY, 1), {422}),
    "unknown currency": (changed(("asset",), "ZZZ"), {422}),
    "currency in lower case": (changed(("asset",), "usd"), {422}),
    "currency of four letters": (changed(("asset",), "USDX"), {422}),
    "unknown field": (changed(("paid_at",), "2026-01-01T00:00:00Z"), {422}),
    "tenant in body": (changed(("tenant_id",), "ten_x"), {422}),
    "state in body": (changed(("status",), {"document": "open"}), {422}),
    "no lines": (changed(("lines",), []), {422}),
    "1001 lines": (changed(("lines",), an_invoice("x", 1)["lines"] * 1001), {413, 422}),
    "NUL in text": (changed(("lines", 0, "description"), "a\x00b"), {400, 422}),
    "lone surrogate": (GOOD.replace("Good", "\\ud800"), {400, 422}),
    "control character": (changed(("lines", 0, "description"), "a\x07b"), {422}),
    "turned direction": (changed(("lines", 0, "description"), "a\u202eb"), {422}),
    "text too long": (changed(("lines", 0, "description"), "x" * 5000), {422}),
    "time without zone": (changed(("due_at",), "2027-01-01T00:00:00"), {422}),
    "time as number": (changed(("due_at",), 1893456000), {422}),
    "mail with line break": (changed(("customer", "email"), "a@b.c\r\nBcc: x@y.z"), {422}),
    "not JSON": ("{", {400}),
    "trailing data": (GOOD + "{}", {400}),
    "a list": ("[]", {422}),
    "null": ("null", {422}),
    "key twice": ('{"asset": "USD", "asset": "EUR"}', {400}),
    "deep nesting": ('{"a":' * 100 + "1" + "}" * 100, {400}),
    "deeper nesting": ("[" * 20_000, {400}),
    "not UTF-8": (b'{"asset": "\xff\xfe"}', {400}),
    "UTF-16": (GOOD.encode("utf-16"), {400}),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), {400}),
    "too large": (GOOD.replace("Good", "x" * 300_000), {413}),
    "empty": ("", {422}),
}


async def send(platform, body, **headers):
    sent = {
        "Authorization": f"Bearer {platform.client.api_key}",
        "Content-Type": "application/json",
        **headers,
    }
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    url = platform.client.url + "/api/v1/invoices"
    async with platform.client.http.post(url, data=data, headers=sent) as answer:
        return answer.status, await answer.read(), answer.headers["Content-Type"]


async def count(platform):
    return (await platform.sql("select count(*) as n from invoice.invoice"))[0]["n"]


@pytest.mark.parametrize("case", CASES)
async def test_bad_input_gets_a_problem_and_changes_nothing(platform, case):
    body, expected = CASES[case]
    before = await count(platform)
    status, answer, media = await send(platform, body)
    assert status in expected, (status, answer[:500])
    assert media == "application/problem+json"
    problem = json.loads(answer)
    assert problem["status"] == status
    assert problem["code"]
    assert problem["title"]
    assert await count(platform) == before


async def test_another_media_type_is_refused(platform):
    status, answer, _ = await send(platform, GOOD, **{"Content-Type": "text/plain"})
    assert (status, json.loads(answer)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("key", ["", "x" * 256, "a b\tc", "\u00e9"])
async def test_an_idempotency_key_that_cannot_be_one_is_refused(platform, key):
    status, answer, _ = await send(platform, GOOD, **{"Idempotency-Key": key})
    assert status in (400, 422), answer


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x", "Basic eDp5", "Bearer " + "k" * 9000]
)
async def test_nobody_gets_in_without_a_key(platform, authorization):
    status, answer, media = await send(platform, GOOD, Authorization=authorization)
    assert status in (400, 401, 431), answer
    if status == 401:
        assert media == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/invoices/inv_x",
        "/api/v1/invoices/%00",
        "/api/v1/invoices/..%2f..%2fetc",
        "/api/v1/invoices?cursor=zzz",
        "/api/v1/invoices?limit=0",
        "/api/v1/invoices?limit=100000",
        "/api/v1/invoices?due_before=yesterday",
        "/api/v1/nothing",
        "/api/v1/ledger/balances?as_of=never",
        "/api/v1/wallets/wal_0",
        "/api/v1/payments/pay_0",
    ],
)
async def test_bad_paths_and_queries_get_a_problem(platform, path):
    import yarl

    url = yarl.URL(platform.client.url + path, encoded=True)
    headers = {"Authorization": f"Bearer {platform.client.api_key}"}
    async with platform.client.http.get(url, headers=headers) as answer:
        assert 400 <= answer.status < 500, await answer.text()
        assert (await answer.json(content_type=None))["code"]
