"""Which facts are told to a recipient by e-mail, and what the mail says."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from invoiceos_contracts import Amount, Event, encode
from invoiceos_contracts.invoice_v1 import (
    InvoiceIssued,
    InvoiceOverpaid,
    InvoicePaid,
    InvoicePartiallyPaid,
)
from money import Money, MoneyError, asset

INVOICE: Final = "invoice_issued"
RECEIPT: Final = "payment_received"


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom an invoice is for, sealed, and what every mail about it shows."""

    tenant_id: UUID
    invoice_id: UUID
    subject: str
    """Public id the recipient is sealed under."""
    recipient: dict[str, Any]
    issuer_name: str
    payment_link: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to write; who gets it is looked up when it is sent."""

    tenant_id: UUID
    invoice_id: UUID
    cause_id: UUID
    template: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MailClaim:
    """A mail that this process may send until its lease ends."""

    tenant_id: UUID
    notification_id: UUID
    invoice_id: UUID
    template: str
    attempt: int
    content: dict[str, Any]
    created_at: datetime
    contact: Contact | None
    """None when the recipient has been forgotten."""


class MailState(StrEnum):
    """How a try to send ended."""

    SENT = "sent"
    REFUSED = "refused"
    """For good: the server will never take this mail, or there is nobody to send it to."""
    TRANSIENT = "transient"
    """Certainly not sent."""
    UNKNOWN = "unknown"
    """The connection was lost after the text: tried again under the same Message-ID."""
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """A finished try."""

    claim: MailClaim
    state: MailState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MailVerdict:
    """What follows from a try: `pending` again, `sent` or `failed`."""

    state: str
    attempt: int
    delay_s: int = 0


def judge(outcome: MailOutcome, delays_s: tuple[int, ...]) -> MailVerdict:
    """Decide by how the try ended."""
    attempt = outcome.claim.attempt
    match outcome.state:
        case MailState.SENT:
            return MailVerdict("sent", attempt)
        case MailState.NOT_TRIED:
            return MailVerdict("pending", attempt - 1)
        case MailState.REFUSED:
            return MailVerdict("failed", attempt)
    if attempt >= len(delays_s):
        return MailVerdict("failed", attempt)
    return MailVerdict("pending", attempt, delays_s[attempt])


def shown(amount: Amount) -> str:
    """An amount as people read it: 1250 of USD is `12.50 USD`."""
    try:
        return str(Money(amount.amount_minor, asset(amount.asset)))
    except MoneyError:
        return f"{amount.amount_minor} minor units of {amount.asset}"


def contact_of(fact: Event) -> Contact | None:
    """Whom the mails about an invoice go to; None where it names nobody."""
    if not isinstance(fact, InvoiceIssued) or fact.recipient is None or fact.customer_id is None:
        return None
    return Contact(
        tenant_id=fact.tenant_id,
        invoice_id=fact.invoice_id,
        subject=encode("cus", fact.customer_id),
        recipient=fact.recipient.model_dump(mode="json"),
        issuer_name=fact.issuer_name,
        payment_link=fact.payment_link,
    )


def mail_of(fact: Event, cause_id: UUID) -> Mail | None:
    """The mail that tells a fact; None for facts that are not told by mail."""
    if isinstance(fact, InvoiceIssued):
        content = {
            "number": fact.number or "",
            "due": shown(fact.due),
            "due_date": _date(fact.due_at),
            "rail": fact.rail,
            "address": fact.address,
            "memo": fact.memo,
            "accepted": list(fact.accepted_assets),
        }
        return Mail(fact.tenant_id, fact.invoice_id, cause_id, INVOICE, content)
    if isinstance(fact, InvoicePaid | InvoiceOverpaid | InvoicePartiallyPaid):
        if fact.amount.amount_minor <= 0:
            return None
        content = {
            "number": fact.number or "",
            "amount": shown(fact.amount),
            "received": shown(fact.received),
            "total": shown(fact.total),
            "remaining": shown(fact.due) if isinstance(fact, InvoicePartiallyPaid) else None,
            "excess": shown(fact.excess) if isinstance(fact, InvoiceOverpaid) else None,
        }
        return Mail(fact.tenant_id, fact.invoice_id, cause_id, RECEIPT, content)
    return None


def subject_of(template: str, content: dict[str, Any], issuer_name: str) -> str:
    """Subject line, one line whatever the names hold."""
    what = "Invoice" if template == INVOICE else "Payment received for invoice"
    return one_line(f"{what} {content['number']} from {issuer_name}")


def one_line(text: str) -> str:
    """Text that may stand in a header: no line breaks, control characters or encoded words.

    The standard library decodes an encoded word that a value already holds and writes the line
    breaks inside it as they are: `=?utf-8?q?=0D=0ABcc=3A_x?=` became a header of its own (tried).
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(plain.replace("=?", "= ?").split())


def _date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
