"""After every journey, death and bad input above: the books, the topics and the histories agree."""

from audit.monitor import Monitor
from messaging import KafkaAccess


async def test_the_auditor_finds_nothing_when_all_is_over(platform, stack):
    await platform.quiet()
    address = stack.administration_env()["INVOICEOS_AUDIT_DATABASE_URL"]
    monitor = Monitor(address, KafkaAccess(stack.infrastructure.kafka_bootstrap), grace_s=30)
    try:
        report = await monitor.look()
    finally:
        await monitor.close()
    assert report.records
    assert not report.breached, report.as_table()
