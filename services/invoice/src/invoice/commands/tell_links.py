"""Links of invoices that were issued before anybody kept them are told once, after an upgrade."""

from collections.abc import Callable

from invoice import store
from invoice.commands.deciding import aged
from invoice.domain import facts
from invoice.domain.links import link_for
from invoice.domain.states import ISSUED, Invoice
from invoice.store.links import next_untold, save_told
from invoiceos_contracts.invoice_v1 import InvoiceLinkTold
from messaging import Tx


async def tell_links(tx: Tx, limit: int, key: bytes, link_of: Callable[[str], str]) -> int:
    """Tell the links of the next invoices that may still be paid; how many were looked at.

    One whose link was made with another key is left out: its holder would not be let in either.
    """
    keys = await next_untold(tx, limit)
    if keys is None:
        return 0
    invoices = await store.lock_invoices(tx, keys)
    told: list[Invoice] = []
    for invoice in invoices.values():
        link = link_for(key, invoice.tenant_id, invoice.id)
        if invoice.wallet is None or invoice.document not in ISSUED:
            continue
        if link.hash == invoice.link_hash:
            now = aged(invoice, tx)
            told.append(now)
            fact = InvoiceLinkTold(
                **facts.standing(now),
                wallet_id=invoice.wallet.wallet_id,
                payment_link=link_of(link.token),
            )
            tx.stage([fact])
    if told:
        await store.update_states(tx, told)
    await save_told(tx, keys[-1] if keys else None)
    return len(keys)
