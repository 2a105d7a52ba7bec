"""Composition root of ephemeral-manager."""

from chassis.runtime import Service
from ephemeral_manager.api import ROUTERS
from ephemeral_manager.queries import TRACED
from ephemeral_manager.settings import EphemeralManagerSettings
from ephemeral_manager.subscribers import SUBSCRIPTIONS, TIMERS

service = Service(
    name="ephemeral-manager",
    settings=EphemeralManagerSettings,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    timers=TIMERS,
    traced=TRACED,
)
