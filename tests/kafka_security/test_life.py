"""The platform works as it does without security, each service as itself."""

from audit.monitor import Monitor
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroyed
from invoiceos_contracts.invoice_v1 import InvoiceClosed, InvoicePaid


async def test_an_invoice_lives_its_whole_life_under_security(platform, kafka, stack):
    invoice_id, issued = await platform.issue()
    await platform.transfer(issued, issued.due.amount_minor)
    for fact in (InvoicePaid, EphemeralWalletDestroyed, InvoiceClosed):
        await platform.feed.until(fact, invoice_id, seconds=60)
    await platform.books_are_right()
    await platform.quiet()
    address = stack.administration_env()["INVOICEOS_AUDIT_DATABASE_URL"]
    monitor = Monitor(address, kafka.access("auditor"), grace_s=30)
    try:
        report = await monitor.look()
    finally:
        await monitor.close()
    assert report.records
    assert not report.breached, report.as_table()
