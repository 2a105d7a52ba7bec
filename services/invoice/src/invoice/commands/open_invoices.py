"""A wallet is ready, or none could be made: invoices open, or their issue failed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoice import store
from invoice.commands.deciding import aged
from invoice.commands.settle_invoices import save_money, timers_of
from invoice.domain import documents
from invoice.domain.links import link_for
from invoice.domain.states import Invoice, Opening
from invoice.settings import link_key, link_of
from invoice.store import parties as party_store
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletReady
from messaging import Received, Tx


@dataclass(frozen=True, slots=True)
class _Answer:
    invoice: Invoice
    ready: WalletReady
    cause: UUID


async def open_invoices(tx: Tx, answers: Sequence[Received[WalletReady]]) -> None:
    """Give each invoice that waits for its wallet a number, a link and frozen parties.

    Numbers are consecutive without a gap per tenant: only invoices that do open take one, in the
    transaction that opens them.
    """
    keys = [(answer.fact.tenant_id, answer.fact.invoice_id) for answer in answers]
    states = await store.lock_invoices(tx, keys)
    first = dict(reversed(list(zip(keys, answers, strict=True))))
    waiting = {
        key: _Answer(state, first[key].fact, first[key].id)
        for key, state in states.items()
        if documents.awaits_wallet(state)
    }
    if not waiting:
        return
    shown = await store.with_lines(
        tx, {key: item.invoice for key, item in waiting.items()}, first=documents.LINES_SHOWN
    )
    parties = await party_store.parties_of(tx, [item.invoice for item in waiting.values()])
    counts = Counter(tenant for tenant, _ in waiting)
    numbers = await store.take_numbers(tx, counts, documents.SERIES)
    changed = []
    for key in sorted(waiting):
        tenant_id, invoice_id = key
        link = link_for(link_key(), tenant_id, invoice_id)
        number = documents.number_of(numbers[tenant_id])
        numbers[tenant_id] += 1
        given = Opening(number, link, parties[invoice_id])
        answer = waiting[key]
        after, facts = documents.open_(
            shown[key], answer.ready, given, link=link_of(link.token), now=tx.now
        )
        changed.append((answer.invoice, aged(after, tx)))
        tx.stage((fact, answer.cause) for fact in facts)
    opened = [after for _, after in changed]
    await store.update_opened(tx, opened)
    await save_money(tx, changed)
    tx.schedule(timer for invoice in opened for timer in timers_of(invoice))


async def fail_issues(tx: Tx, answers: Sequence[Received[WalletFailed]]) -> None:
    """An invoice that no rail could serve can be issued again; `InvoiceIssueFailed`."""
    keys = [(answer.fact.tenant_id, answer.fact.invoice_id) for answer in answers]
    states = await store.lock_invoices(tx, keys)
    changed: dict[store.Key, Invoice] = {}
    for answer, key in zip(answers, keys, strict=True):
        if key not in states:
            continue
        after, facts = documents.fail(states[key], answer.fact)
        if after is not states[key]:
            states[key] = changed[key] = aged(after, tx)
            tx.stage((fact, answer.id) for fact in facts)
    await store.update_states(tx, list(changed.values()))
