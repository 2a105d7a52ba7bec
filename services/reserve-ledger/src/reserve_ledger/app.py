"""The reserve ledger, put together."""

from chassis.runtime import Service
from reserve_ledger.api import ROUTERS
from reserve_ledger.commands.hold_funds import EXPIRY, expire_holds
from reserve_ledger.queries.traced import TRACED
from reserve_ledger.settings import LedgerSettings
from reserve_ledger.subscribers import SUBSCRIPTIONS
from reserve_ledger.workers import WORKERS

service = Service(
    name="reserve-ledger",
    settings=LedgerSettings,
    routers=ROUTERS,
    subscriptions=SUBSCRIPTIONS,
    timers={EXPIRY: expire_holds},
    workers=WORKERS,
    traced=TRACED,
)
