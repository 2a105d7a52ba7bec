"""The mail server: one connection for several mails, and an honest word on what became of each."""

import time
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

from chassis.sealing import Sealer
from chassis.settings import Environment
from notification.domain.mails import MailClaim, MailOutcome, MailState
from notification.providers.mail_message import compose, open_recipient
from notification.settings import MAIL_BATCH_S_MAX, NotificationSettings

PERMANENT = 500
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, TimeoutError, OSError)


class MailServer:
    """Sends mails by SMTP."""

    def __init__(self, settings: NotificationSettings, sealer: Sealer) -> None:
        """Take the address of the server from the settings."""
        self._settings = settings
        self._sealer = sealer

    def _connection(self) -> aiosmtplib.SMTP:
        parts = urlsplit(self._settings.smtp_url.get_secret_value())
        assert parts.hostname is not None
        implicit = parts.scheme == "smtps"
        outside = parts.hostname not in _LOOPBACK
        guarded = self._settings.environment is Environment.PRODUCTION and outside
        # A password, or a recipient in production, never crosses a network in the clear.
        must_upgrade = not implicit and (bool(parts.username) or guarded)
        return aiosmtplib.SMTP(
            hostname=parts.hostname,
            port=parts.port or (465 if implicit else 587 if must_upgrade else 25),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            use_tls=implicit,
            start_tls=True if must_upgrade else (False if implicit else None),
            timeout=self._settings.mail_timeout_s,
        )

    async def send(self, claims: Sequence[MailClaim]) -> list[MailOutcome]:
        """Send mails over one connection, in this order; never raises."""
        written: list[tuple[MailClaim, str, EmailMessage]] = []
        outcomes: list[MailOutcome] = []
        for claim in claims:
            try:
                recipient = open_recipient(claim, self._sealer)
                message = compose(claim, recipient, self._settings.mail_from)
                written.append((claim, recipient.email, message))
            except Exception as error:
                reason = f"unwritable:{type(error).__name__}"
                outcomes.append(MailOutcome(claim, MailState.REFUSED, reason))
        return outcomes + (await self._send(written) if written else [])

    async def _send(
        self, written: Sequence[tuple[MailClaim, str, EmailMessage]]
    ) -> list[MailOutcome]:
        outcomes: list[MailOutcome] = []
        server = self._connection()
        begun = time.monotonic()
        try:
            await server.connect()
            for claim, email, message in written:
                if time.monotonic() - begun > MAIL_BATCH_S_MAX:
                    break
                outcome = await self._send_one(server, claim, email, message)
                outcomes.append(outcome)
                if not server.is_connected:
                    break
        except Exception as error:
            reason = f"server:{type(error).__name__}"
            sent = len(outcomes)
            return outcomes + [
                MailOutcome(claim, MailState.TRANSIENT, reason) for claim, _, _ in written[sent:]
            ]
        finally:
            server.close()
        rest = written[len(outcomes) :]
        return outcomes + [MailOutcome(claim, MailState.NOT_TRIED) for claim, _, _ in rest]

    async def _send_one(
        self, server: aiosmtplib.SMTP, claim: MailClaim, email: str, message: EmailMessage
    ) -> MailOutcome:
        """Send one mail. Server texts are not kept: they repeat the recipient's address."""
        sender = message["From"].addresses[0].addr_spec
        try:
            await server.mail(sender)
            await server.rcpt(email)
        except aiosmtplib.SMTPSenderRefused as error:
            return await self._undone(server, claim, MailState.TRANSIENT, f"smtp_{error.code}")
        except aiosmtplib.SMTPResponseException as error:
            return await self._undone(server, claim, _state_of(error), f"smtp_{error.code}")
        except _LOST as error:
            server.close()
            return MailOutcome(claim, MailState.TRANSIENT, f"lost:{type(error).__name__}")
        try:
            await server.data(message.as_bytes(policy=message.policy.clone(linesep="\r\n")))
        except aiosmtplib.SMTPResponseException as error:
            return await self._undone(server, claim, _state_of(error), f"smtp_{error.code}")
        except _LOST as error:
            server.close()
            return MailOutcome(claim, MailState.UNKNOWN, f"unknown:{type(error).__name__}")
        return MailOutcome(claim, MailState.SENT)

    async def _undone(
        self, server: aiosmtplib.SMTP, claim: MailClaim, state: MailState, reason: str
    ) -> MailOutcome:
        """Make the connection fit for the next mail, or close it."""
        try:
            await server.rset()
        except (aiosmtplib.SMTPException, *_LOST):
            server.close()
        return MailOutcome(claim, state, reason)


def _state_of(error: aiosmtplib.SMTPResponseException) -> MailState:
    return MailState.REFUSED if error.code >= PERMANENT else MailState.TRANSIENT
