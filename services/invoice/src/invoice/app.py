"""What the invoice service is made of."""

from chassis.runtime import Runtime, Service
from invoice.api import router
from invoice.commands.settle_invoices import DUE, EXPIRY, pass_due_dates, pass_expiries
from invoice.queries import TRACED
from invoice.settings import InvoiceSettings, link_key, sealer
from invoice.subscribers import SUBSCRIPTIONS
from invoice.workers import tell_old_links


async def _check_keys(runtime: Runtime) -> None:
    """Fail at the start, not at the first customer, where a key is wrong."""
    del runtime
    sealer()
    link_key()


service = Service(
    name="invoice",
    settings=InvoiceSettings,
    routers=[router],
    subscriptions=SUBSCRIPTIONS,
    timers={DUE: pass_due_dates, EXPIRY: pass_expiries},
    prepare=_check_keys,
    workers=[tell_old_links],
    traced=TRACED,
)
