"""Who may do what, over every operation of the OpenAPI: scopes, methods, fields, repeated keys.

That one tenant never reaches another's things is tested in `tests/journeys/test_isolation.py`.
"""

import asyncio
import json
import re
import tomllib
import uuid
from http import HTTPMethod

import pytest
from tests.bad_input.catalogue import CASES
from tests.bad_input.rest import PROBLEM, good_body

SCOPES = tomllib.loads((CASES.parent / "scopes.toml").read_text())
ALL = sorted(set(SCOPES.values()) - {"any", "nobody", "operator"})
OPERATORS = {(403, "operator"), (403, "operators")}
ID = "0" * 26
PREFIXES = {
    "key_id": "key",
    "customer_id": "cus",
    "invoice_id": "inv",
    "wallet_id": "wal",
    "job_id": "blk",
    "payment_id": "pay",
    "transaction_id": "txn",
    "hold_id": "hld",
    "endpoint_id": "whe",
    "delivery_id": "whd",
}


@pytest.fixture(scope="session")
async def document(world, http):
    """The whole of it: a service that is slow to answer is left out at first, and named."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(world.url + "/openapi.json") as answer:
                found = await answer.json()
            if "x-missing-services" not in found:
                return found
            await asyncio.sleep(0.5)


def operations(document):
    return [f"{verb.upper()} {path}" for path, item in document["paths"].items() for verb in item]


def address(path):
    """A path with ids that could be, of nothing."""
    return re.sub(r"{(\w+)}", lambda name: f"{PREFIXES.get(name[1], 'x')}_{ID}", path)


def pattern(path):
    """Addresses that a path of the document stands for."""
    return re.compile(re.sub(r"{\w+}", "[^/]+", path))


async def ask(http, world, operation, key, **headers):
    method, path = operation.split()
    sent = {"Authorization": f"Bearer {key}", **headers} if key else headers
    async with http.request(method, world.url + address(path), headers=sent) as answer:
        media = answer.headers.get("Content-Type")
        body = await answer.read()
        return answer.status, json.loads(body) if media == PROBLEM else {}


def differing(answers, wanted):
    return [
        f"{name}: {got}" for name, got in answers.items() if (got[0], got[1].get("code")) != wanted
    ]


async def test_each_operation_refuses_a_key_that_has_every_scope_but_its_own(
    document, world, http, platform
):
    keys = {}
    for missing in ALL:
        body = {"name": f"all but {missing}", "scopes": [s for s in ALL if s != missing]}
        keys[missing] = (await platform.client.post("/api/v1/api-keys", body))["api_key"]
    keys["operator"] = keys[ALL[0]]
    limited = [one for one in operations(document) if SCOPES.get(one) in keys]
    answers = {one: await ask(http, world, one, keys[SCOPES[one]]) for one in limited}
    assert differing(answers, (403, "scope_missing")) == []
    assert {SCOPES[one] for one in limited} == {*ALL, "operator"}


async def test_operations_without_a_scope_are_for_operators_alone(document, world, http):
    rest = [one for one in operations(document) if one not in SCOPES]
    assert "POST /api/v1/tenants" in rest
    answers = {one: await ask(http, world, one, world.api_key) for one in rest}
    kinds = {
        name: (status, problem.get("code", "").partition("_")[0])
        for name, (status, problem) in answers.items()
    }
    assert {name: kind for name, kind in kinds.items() if kind not in OPERATORS} == {}


async def test_every_operation_but_the_public_ones_wants_to_know_who_asks(document, world, http):
    closed = [one for one in operations(document) if SCOPES.get(one) != "nobody"]
    answers = {one: await ask(http, world, one, "") for one in closed}
    assert differing(answers, (401, "unauthenticated")) == []
    assert len(closed) > 50


async def test_another_method_is_not_there_and_no_header_makes_it_one(document, world, http):
    override = dict.fromkeys(
        ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"), "DELETE"
    )
    verbs = [HTTPMethod.GET, HTTPMethod.POST, HTTPMethod.PUT, HTTPMethod.PATCH, HTTPMethod.DELETE]
    answers = {
        f"{verb} {path}": await ask(http, world, f"{verb} {path}", world.api_key, **override)
        for path in document["paths"]
        for verb in verbs
        if not any(
            verb.lower() in other and pattern(known).fullmatch(address(path))
            for known, other in document["paths"].items()
        )
    }
    assert differing(answers, (405, "method_not_allowed")) == []
    assert len(answers) > 100


def test_every_body_refuses_fields_it_does_not_know(document):
    """So says the schema of each; the table `unknown_fields` tries it."""
    schemas = document["components"]["schemas"]

    def objects(schema, seen):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in seen:
                yield from objects(schemas[name] | {"called": name}, seen | {name})
            return
        if "properties" in schema:
            yield schema
        parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
        for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
            yield from objects(part, seen)

    found = [
        one
        for item in document["paths"].values()
        for operation in item.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
        for one in objects(media["schema"], frozenset())
    ]
    open_ones = [
        one.get("called", one) for one in found if one.get("additionalProperties") is not False
    ]
    assert open_ones == []
    assert len(found) > 15


CREATING = ("POST /api/v1/customers", "POST /api/v1/invoices", "POST /api/v1/api-keys")


async def create(http, world, operation, key, body, api_key):
    url = world.url + operation.split()[1]
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": key}
    async with http.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize("operation", CREATING)
async def test_a_key_that_comes_often_at_once_makes_one_thing(http, world, operation):
    key, body = str(uuid.uuid4()), good_body(operation)
    send = [create(http, world, operation, key, body, world.api_key) for _ in range(20)]
    answers = await asyncio.gather(*send)
    assert {status for status, _ in answers} <= {201, 409}
    assert len({made["id"] for status, made in answers if status == 201}) == 1
    refusals = {problem["code"] for status, problem in answers if status == 409}
    assert refusals <= {"request_in_progress"}


@pytest.mark.parametrize("operation", CREATING)
async def test_a_used_key_takes_no_other_body_and_no_other_tenant_knows_it(
    http, world, operation, other_key
):
    key, body = str(uuid.uuid4()), good_body(operation)
    _, mine = await create(http, world, operation, key, body, world.api_key)
    name = "name" if "name" in body else "reference"
    status, problem = await create(
        http, world, operation, key, body | {name: "other"}, world.api_key
    )
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    status, theirs = await create(http, world, operation, key, body, other_key)
    assert status == 201
    assert theirs["id"] != mine["id"]


async def test_a_key_of_a_refused_request_is_free_for_the_mended_one(http, world):
    operation, key = CREATING[0], str(uuid.uuid4())
    status, _ = await create(http, world, operation, key, {"name": ""}, world.api_key)
    assert status == 422
    status, _ = await create(http, world, operation, key, {"name": "Ada"}, world.api_key)
    assert status == 201
