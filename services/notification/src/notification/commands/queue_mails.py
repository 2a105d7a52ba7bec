"""Queue the mails that facts about invoices call for."""

from collections.abc import Sequence

from messaging import Tx
from notification.commands.queue_webhooks import Told, wake_senders
from notification.domain import mails as domain
from notification.store import mails as store


async def queue_mails(tx: Tx, events: Sequence[Told]) -> None:
    """Keep whom invoices are for, and queue one mail a fact that is told by mail.

    Facts of one invoice come in their order, so the recipient is known before the first payment.
    An invoice without a recipient gets no mail.
    """
    contacts = [c for event in events if (c := domain.contact_of(event.fact)) is not None]
    mails = [m for event in events if (m := domain.mail_of(event.fact, event.id)) is not None]
    if contacts:
        await store.save_contacts(tx, contacts)
    if mails:
        await store.insert_mails(tx, mails)
        wake_senders(tx)
