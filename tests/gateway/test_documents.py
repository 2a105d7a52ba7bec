"""One document and one page for all services."""

import re
from typing import Any

from jsonschema import Draft202012Validator

from chassis.application import describe
from gateway.app import service
from gateway.edge.documents import merge


def document(path: str, schema: dict[str, Any], verb: str = "post") -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Thing"}
    content = {"application/json": {"schema": reference}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": {
            path: {
                verb: {
                    "operationId": "op",
                    "summary": "Op",
                    "requestBody": {"content": content},
                    "responses": {
                        "200": {"description": "ok", "content": content},
                        "422": {"description": "bad"},
                    },
                }
            }
        },
        "components": {
            "schemas": {
                "Thing": schema,
                "Holder": {"type": "array", "items": reference},
                "HTTPValidationError": {"type": "object"},
            }
        },
    }


OWN = describe(service).openapi()
A = {"type": "object", "properties": {"a": {"type": "string"}}}
B = {"type": "object", "properties": {"b": {"type": "integer"}}}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()


def test_names_that_mean_two_things_are_told_apart() -> None:
    merged = merge(
        {
            "invoice": document("/api/v1/invoices", A),
            "wallet-factory": document("/api/v1/wallets", B),
            "notification": document("/api/v1/notifications", A),
        },
        OWN,
    )
    schemas = merged["components"]["schemas"]
    assert schemas["Thing"] == A
    assert schemas["WalletFactoryThing"] == B
    assert "NotificationThing" not in schemas
    assert "HTTPValidationError" not in schemas
    body = merged["paths"]["/api/v1/wallets"]["post"]["requestBody"]
    assert references(body) == {"#/components/schemas/WalletFactoryThing"}
    for reference in references(merged):
        assert reference.removeprefix("#/components/schemas/") in schemas
    ids = [op["operationId"] for item in merged["paths"].values() for op in item.values()]
    assert len(ids) == len(set(ids))


def test_the_inputs_are_left_alone() -> None:
    given = document("/api/v1/invoices", A)
    merge({"invoice": given}, OWN)
    assert given == document("/api/v1/invoices", A)


def test_what_the_gateway_does_not_let_through_is_not_shown() -> None:
    merged = merge(
        {
            "invoice": document("/internal/x", A),
            "wallet-factory": document("/api/v1/invoices/x", A),
        },
        OWN,
    )
    assert "/internal/x" not in merged["paths"]
    assert "/api/v1/invoices/x" not in merged["paths"]


def test_writes_take_an_idempotency_key_and_public_paths_no_key() -> None:
    merged = merge(
        {
            "invoice": document("/api/v1/invoices/{id}", A, "patch"),
            "provider-orchestrator": document("/api/v1/webhooks/stripe", B),
        },
        OWN,
    )
    write = merged["paths"]["/api/v1/invoices/{id}"]["patch"]
    assert [p["name"] for p in write["parameters"]] == ["Idempotency-Key"]
    assert "security" not in write
    refusals = {400, 401, 403, 404, 408, 409, 412, 413, 414, 415, 422, 429, 502, 503, 504}
    assert set(write["responses"]) == {"200", *map(str, refusals)}
    webhook = merged["paths"]["/api/v1/webhooks/stripe"]["post"]
    assert webhook["security"] == []
    assert not {"401", "403"} & webhook["responses"].keys()
    assert "parameters" not in webhook
    assert merged["security"] == [{"apiKey": []}]
    assert merged["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_own_routes_are_in_it() -> None:
    paths = merge({}, OWN)["paths"]
    assert {
        "/api/health",
        "/api/v1/tenants",
        "/api/v1/tenants/current",
        "/api/v1/api-keys",
        "/api/v1/api-keys/{key_id}",
        "/api/v1/partners",
        "/api/v1/partners/{name}",
    } <= set(paths)


def test_every_schema_is_one() -> None:
    for schema in merge({"invoice": document("/api/v1/invoices", A)}, OWN)["components"][
        "schemas"
    ].values():
        Draft202012Validator.check_schema(schema)


async def test_the_document_is_fetched_and_a_missing_service_is_named(gateway: Any) -> None:
    gateway.upstreams.documents["invoice"] = document("/api/v1/invoices", A)
    reply = await gateway.ask("GET", "/openapi.json")
    assert reply.status == 200
    found = reply.json
    assert "/api/v1/invoices" in found["paths"]
    assert "/api/v1/api-keys" in found["paths"]
    assert "notification" in found["x-missing-services"]
    assert "invoice" not in found["x-missing-services"]
    assert found["servers"] == [{"url": "http://127.0.0.1:8080"}]


async def test_the_page_asks_nobody_else(gateway: Any) -> None:
    page = await gateway.ask("GET", "/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path, media in (("/docs/docs.css", "text/css"), ("/docs/docs.js", "text/javascript")):
        part = await gateway.ask("GET", path)
        assert part.headers["Content-Type"].startswith(media)
        assert not re.search(rb"(?<![a-z])url\(|@import|https?://(?!example\.com)", part.body)
    assert not re.search(rb"https?://|<script>|style=| on\w+=", page.body)
    again = await gateway.ask("GET", "/docs", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await gateway.ask("GET", "/")).headers["Location"] == "/docs"
    assert (await gateway.ask("POST", "/docs")).status == 405


async def test_the_page_of_events_and_its_parts_are_served(gateway: Any) -> None:
    page = await gateway.ask("GET", "/docs/events")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert b"invoiceos.invoice.paid.v1" in page.body
    for ending, media in ((".css", "text/css"), (".js", "text/javascript")):
        part = await gateway.ask("GET", f"/docs/events{ending}")
        assert part.headers["Content-Type"].startswith(media)
        assert not re.search(rb"url\(|@import|https?://", part.body)
    catalogue = await gateway.ask("GET", "/docs/events.json")
    assert catalogue.headers["Content-Type"].startswith("application/json")
    assert catalogue.json["invoiceos.invoice.paid.v1"]["schema"]["title"] == "InvoicePaid"
    assert (await gateway.ask("GET", "/docs/events/")).status == 404
