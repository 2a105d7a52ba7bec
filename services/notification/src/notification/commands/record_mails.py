"""Record how tries to send mails ended."""

from collections.abc import Sequence

from invoiceos_contracts.notification_v1 import NotificationFailed, NotificationSent
from messaging import Tx
from notification.domain.mails import MailOutcome, judge
from notification.store import mails as store


async def record_mails(tx: Tx, outcomes: Sequence[MailOutcome], delays_s: tuple[int, ...]) -> None:
    """Move mails on and state what is final."""
    verdicts = [(outcome, judge(outcome, delays_s)) for outcome in outcomes]
    moved = await store.update_mails(tx, verdicts)
    for outcome, verdict in verdicts:
        if outcome.claim.notification_id not in moved:
            continue
        if verdict.state == "sent":
            tx.stage([_sent(outcome)])
        elif verdict.state == "failed":
            tx.stage([_failed(outcome)])


def _sent(outcome: MailOutcome) -> NotificationSent:
    claim = outcome.claim
    return NotificationSent(
        tenant_id=claim.tenant_id,
        notification_id=claim.notification_id,
        invoice_id=claim.invoice_id,
        channel="email",
        template=claim.template,
        attempt=claim.attempt,
    )


def _failed(outcome: MailOutcome) -> NotificationFailed:
    claim = outcome.claim
    return NotificationFailed(
        tenant_id=claim.tenant_id,
        notification_id=claim.notification_id,
        invoice_id=claim.invoice_id,
        channel="email",
        template=claim.template,
        attempt=claim.attempt,
        reason=outcome.reason,
    )
