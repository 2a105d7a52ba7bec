"""The service's own loops, as a running service starts them."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from invoiceos_contracts.notification_v1 import NotificationSent, WebhookDelivered
from notification.app import service
from notification.settings import NotificationSettings
from testkit.service import ServiceUnderTest, a_tenant

from .conftest import PERSONAL_KEY, Client, Receiver
from .events import issued, sealed


async def test_an_event_becomes_a_webhook_and_a_mail_while_the_service_runs(
    unit: ServiceUnderTest,
    settings: NotificationSettings,
    receiver: Receiver,
    client_of: Callable[[UUID], Client],
) -> None:
    client = client_of(a_tenant())
    endpoint = await client.endpoint(receiver.url())
    runtime: Any = SimpleNamespace(settings=settings, worker=unit.worker, api=unit.api)
    working = [asyncio.create_task(work(runtime)) for work in service.workers]  # type: ignore[arg-type]
    customer = uuid4()
    recipient = sealed("run@example.com", "Ann", customer, PERSONAL_KEY)
    try:
        await unit.receives(issued(client.tenant_id, customer_id=customer, recipient=recipient))
        async with asyncio.timeout(60):
            while len(await unit.facts(WebhookDelivered, NotificationSent)) < 2:
                await asyncio.sleep(0.02)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    receiver.arrived[0].verified(endpoint["secret"])
    assert unit.worker.on_commit == []
