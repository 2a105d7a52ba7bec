"""A mail as it goes out: headers that cannot be injected into, text and HTML that say the same."""

import json
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import format_datetime, parseaddr
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic import BaseModel, TypeAdapter

from chassis.inputs import EmailAddress
from chassis.sealing import Sealer
from invoiceos_contracts import Sealed, encode
from notification.domain.mails import MailClaim, one_line, subject_of

NAME_LENGTH_MAX = 120
_EMAIL: TypeAdapter[str] = TypeAdapter(EmailAddress)
_TEMPLATES = Environment(
    loader=PackageLoader("notification", "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Recipient(BaseModel):
    """Whom a mail is for, as the invoice service seals it."""

    email: str
    name: str = ""


def open_recipient(claim: MailClaim, sealer: Sealer) -> Recipient:
    """Whom a mail is for; raises `ValueError` when it cannot be read or is no address."""
    if claim.contact is None:
        message = "the recipient was forgotten"
        raise ValueError(message)
    sealed = Sealed.model_validate(claim.contact.recipient)
    text = sealer.open(sealed, subject=claim.contact.subject)
    recipient = Recipient.model_validate(json.loads(text))
    _EMAIL.validate_python(recipient.email)
    return recipient


def compose(claim: MailClaim, recipient: Recipient, mail_from: str) -> EmailMessage:
    """The mail; made of the same claim twice it is the same mail, Message-ID included."""
    assert claim.contact is not None
    issuer = one_line(claim.contact.issuer_name)
    sender_name, sender = parseaddr(mail_from)
    link = claim.contact.payment_link
    words: dict[str, Any] = {
        **claim.content,
        "issuer": issuer,
        "name": one_line(recipient.name),
        "link": link if link.startswith(("https://", "http://")) else None,
    }
    message = EmailMessage()
    message["Subject"] = subject_of(claim.template, claim.content, issuer)
    message["From"] = _address(sender_name, sender)
    message["To"] = _address(recipient.name, recipient.email)
    message["Date"] = format_datetime(claim.created_at)
    message["Message-ID"] = message_id(claim, sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_TEMPLATES.get_template(f"{claim.template}.txt").render(words))
    message.add_alternative(
        _TEMPLATES.get_template(f"{claim.template}.html").render(words), subtype="html"
    )
    _check_headers(message)
    return message


def _check_headers(message: EmailMessage) -> None:
    """The mail as it is written has the headers it was given, and no other."""
    written = BytesHeaderParser(policy=compat32).parsebytes(message.as_bytes())
    if written.keys() != message.keys() or written.defects:
        error = "the headers of the mail are not those it was given"
        raise ValueError(error)


def message_id(claim: MailClaim, sender: str) -> str:
    """The same in every repeat, so that a receiver can recognise one."""
    domain = sender.rpartition("@")[2] or "localhost"
    return f"<{encode('ntf', claim.notification_id)}@{domain}>"


def _address(name: str, address: str) -> Address:
    return Address(display_name=one_line(name)[:NAME_LENGTH_MAX], addr_spec=address)
