"""What makes the gateway."""

from chassis.runtime import Service
from gateway.api import router
from gateway.edge.entrance import Entrance
from gateway.edge.operations import router as operations
from gateway.settings import GatewaySettings
from gateway.subscribers import SUBSCRIPTIONS, on_partner_records
from gateway.workers import note_usage

service = Service(
    name="gateway",
    settings=GatewaySettings,
    routers=[router, operations],
    subscriptions=SUBSCRIPTIONS,
    records=[on_partner_records],
    workers=[note_usage],
    middleware=[Entrance],
)
