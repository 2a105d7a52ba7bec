"""What operators rely on: health, metrics, versions, and that no service needs a human."""

import pytest

METRICS = (
    "invoiceos_outbox_oldest_age_seconds",
    "invoiceos_outbox_rows",
    "invoiceos_relay_sent_total",
    "invoiceos_batch_size",
    "invoiceos_batch_seconds",
    "invoiceos_inbox_duplicates_total",
    "invoiceos_consumer_nacks_total",
    "invoiceos_dead_letters_total",
    "invoiceos_consumer_lag_records",
    "invoiceos_consumer_last_poll_timestamp_seconds",
)
SERVICES = (
    "gateway",
    "invoice",
    "wallet-factory",
    "ephemeral-manager",
    "provider-orchestrator",
    "reserve-ledger",
    "notification",
)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_says_how_it_is(platform, service):
    url = platform.stack.urls[service]
    for path in ("/livez", "/readyz", "/version"):
        async with platform.client.http.get(url + path) as answer:
            assert answer.status == 200, await answer.text()
    async with platform.client.http.get(url + "/metrics") as answer:
        text = await answer.text()
    assert [name for name in METRICS if f"# HELP {name}" not in text] == []


async def test_the_gateway_says_how_all_of_it_is(platform):
    async with platform.client.http.get(platform.client.url + "/api/health") as answer:
        assert answer.status == 200, await answer.text()
        shown = str(await answer.json())
    assert all(service in shown for service in SERVICES)


async def test_one_page_describes_every_service_without_asking_anyone_outside(platform):
    async with platform.client.http.get(platform.client.url + "/docs") as page:
        assert page.status == 200
        assert "http" not in page.headers["Content-Security-Policy"]
    async with platform.client.http.get(platform.client.url + "/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"].startswith("3.1")
    for path in ("/api/v1/invoices", "/api/v1/ledger/balances", "/api/v1/webhook-endpoints"):
        assert path in document["paths"]
