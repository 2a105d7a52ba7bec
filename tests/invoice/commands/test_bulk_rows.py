"""Rows of bulk orders become invoices, each once, or are refused with a code."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from invoiceos_contracts import Amount
from invoiceos_contracts.bulk_v1 import BulkRowRefused, BulkRowRequested
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from messaging import Tx
from testkit.service import ServiceUnderTest, record_of


def row(tenant: UUID, **changes: Any) -> BulkRowRequested:
    terms: dict[str, Any] = {
        "tenant_id": tenant,
        "invoice_id": Tx.new_id(),
        "job_id": uuid4(),
        "reference": "order-7",
        "amount": Amount(amount_minor=1250, asset="USD"),
        "description": "Tea",
        "due_at": datetime.now(UTC) + timedelta(days=7),
        "customer_id": None,
        "ttl_s": 3600,
        "watch_window_s": 600,
        "bulk_size": 40,
    }
    return BulkRowRequested(**terms | changes)


async def test_a_row_becomes_the_invoice_whose_id_it_gave_however_often_it_comes(
    unit: ServiceUnderTest,
) -> None:
    asked = [row(uuid4()) for _ in range(20)]
    records = [record_of(fact) for fact in asked] * 2 + [record_of(fact) for fact in asked]
    random.Random(3).shuffle(records)
    for start in range(0, len(records), 7):
        await unit.receives(*records[start : start + 7])
    issuing = await unit.facts(InvoiceIssuing)
    assert sorted(fact.invoice_id for fact in issuing) == sorted(fact.invoice_id for fact in asked)
    assert {(f.due.amount_minor, f.wallet.mode, f.wallet.ttl_s) for f in issuing} == {
        (1250, "ephemeral", 3600)
    }
    assert {fact.selector.bulk_size for fact in issuing} == {40}


async def test_a_row_that_breaks_a_rule_is_refused_and_fails_no_neighbour(
    unit: ServiceUnderTest,
) -> None:
    tenant = uuid4()
    good = row(tenant)
    stranger = row(tenant, customer_id=uuid4())
    unknown = row(tenant, amount=Amount(amount_minor=1, asset="XXQ"))
    await unit.receives(stranger, good, unknown)
    refused = {fact.invoice_id: fact.code for fact in await unit.facts(BulkRowRefused)}
    assert refused == {
        stranger.invoice_id: "customer_not_found",
        unknown.invoice_id: "unknown_asset",
    }
    (issuing,) = await unit.facts(InvoiceIssuing)
    assert issuing.invoice_id == good.invoice_id
