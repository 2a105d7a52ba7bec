"""From a partner's record to its invoice and back to its outcome, whatever comes twice."""

from invoiceos_contracts.invoice_v1 import InvoiceCreated, InvoiceIssuing
from invoiceos_contracts.partner_v1 import InvoiceRequestAccepted

from .conftest import request_of


async def test_a_request_becomes_an_invoice_that_is_issued_and_its_partner_is_told(door, invoice):
    partner = await door.partner()
    await door.submits(request_of(partner, request_id="order-1"))
    await invoice.receives(
        *[r for r in await door.unit.published() if r.topic == "invoiceos.partner.v1"]
    )
    (created,) = await invoice.facts(InvoiceCreated)
    (issuing,) = await invoice.facts(InvoiceIssuing)
    (accepted,) = await invoice.facts(InvoiceRequestAccepted)
    assert accepted.invoice_id == created.invoice_id == issuing.invoice_id
    assert accepted.tenant_id == created.tenant_id == partner.tenant_id
    answers = [r for r in await invoice.published() if r.topic == "invoiceos.invoice-request.v1"]
    await door.unit.receives(*answers)
    ((headers, body),) = await door.outcomes(partner)
    assert headers["ce_type"] == InvoiceRequestAccepted.TYPE
    assert body["request_id"] == "order-1"
    assert body["status"] == "issuing"
    assert dict(answers[0].headers) == {k: v.encode() for k, v in headers.items()}
