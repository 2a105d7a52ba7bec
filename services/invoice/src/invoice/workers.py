"""What the invoice service does by itself."""

from chassis.runtime import Runtime
from invoice.commands.tell_links import tell_links
from invoice.settings import link_key, link_of

BATCH = 200


async def tell_old_links(runtime: Runtime) -> None:
    """Once, after an upgrade: all links of open invoices, in batches."""
    told = BATCH
    while told:
        async with runtime.worker.transaction() as tx:
            told = await tell_links(tx, BATCH, link_key(), link_of)
