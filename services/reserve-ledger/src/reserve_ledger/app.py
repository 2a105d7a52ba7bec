"""The reserve ledger, put together."""

from chassis.runtime import Service
from reserve_ledger.api import router
from reserve_ledger.queries.traced import TRACED
from reserve_ledger.settings import LedgerSettings
from reserve_ledger.subscribers import on_money_moved

service = Service(
    name="reserve-ledger",
    settings=LedgerSettings,
    routers=[router],
    subscriptions=[on_money_moved],
    traced=TRACED,
)
