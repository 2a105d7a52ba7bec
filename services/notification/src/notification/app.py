"""Composition root: what the notification service is made of."""

from chassis.runtime import Service
from notification.api import router
from notification.providers.mail_loop import send_mails
from notification.providers.webhook_loop import deliver_webhooks
from notification.queries import TRACED
from notification.settings import NotificationSettings
from notification.subscribers import on_fact

service = Service(
    name="notification",
    settings=NotificationSettings,
    routers=[router],
    subscriptions=[on_fact],
    workers=[deliver_webhooks, send_mails],
    traced=TRACED,
)
