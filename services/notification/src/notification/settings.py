"""Every environment variable of this service, beside those every service has."""

import base64
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from chassis.settings import Environment, Settings, load

_KEY_BYTES = 32
MAIL_BATCH_S_MAX = 30
"""After so long the rest of a batch of mails is left for another."""
Seconds = Annotated[int, Field(ge=0, le=7 * 86_400)]


class NotificationSettings(Settings):
    """Mail server, webhook schedule and the keys of what is kept sealed."""

    smtp_url: SecretStr
    """`smtp://[user:password@]host[:port]`, or `smtps://` for TLS from the first byte."""
    mail_from: str = Field(min_length=3, max_length=320)
    """Sender, for example `Invoice OS <invoices@example.com>`."""
    mail_concurrency: Annotated[int, Field(ge=1, le=50)] = 4
    """Connections to the mail server at the same time."""
    mail_timeout_s: Annotated[int, Field(ge=1, le=120)] = 30
    mail_retry_s: Annotated[tuple[Seconds, ...], NoDecode] = (
        *(0, 30, 120, 600, 1800, 3600, 7200),
        *(14_400, 28_800, 43_200, 86_400),
    )
    """Seconds before the 1st, 2nd, 3rd ... try."""
    personal_data_key: SecretStr
    """Opens recipients: 32 bytes, base64; the same as the invoice service's."""
    webhook_secret_key: SecretStr
    """Seals endpoint secrets at rest: 32 bytes, base64."""
    webhook_allow_hosts: Annotated[frozenset[str], NoDecode] = frozenset()
    """Hosts that may be inside the network, and plain HTTP; refused in production."""
    webhook_timeout_s: Annotated[int, Field(ge=1, le=30)] = 15
    webhook_concurrency: Annotated[int, Field(ge=4, le=2000)] = 64
    webhook_concurrency_per_tenant: Annotated[int, Field(ge=1, le=2000)] = 16
    webhook_retry_s: Annotated[tuple[Seconds, ...], NoDecode] = (
        *(0, 5, 60, 300, 1800, 7200, 18_000, 36_000),
        *(86_400, 86_400, 86_400),
    )
    """Seconds before the 1st, 2nd, 3rd ... attempt, each varied by up to 20 %."""
    webhook_disable_after_s: Annotated[int, Field(ge=60)] = 5 * 86_400
    """An endpoint that failed for so long without one success is disabled."""
    webhook_secret_overlap_s: Annotated[int, Field(ge=0)] = 86_400
    """How long the old secret signs too after a rotation."""

    @property
    def mail_lease_s(self) -> int:
        """Seconds a claimed mail belongs to one process: well above what a batch of them takes."""
        return MAIL_BATCH_S_MAX + 5 * self.mail_timeout_s

    @property
    def webhook_lease_s(self) -> int:
        """Seconds a claimed delivery belongs to one process: well above the longest attempt."""
        return 2 * self.webhook_timeout_s + 30

    @field_validator("webhook_retry_s", "mail_retry_s", mode="before")
    @classmethod
    def _split_schedule(cls, value: object) -> object:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("webhook_allow_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @field_validator("webhook_secret_key", "personal_data_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        if len(base64.b64decode(value.get_secret_value(), validate=True)) != _KEY_BYTES:
            message = "must be 32 bytes in base64"
            raise ValueError(message)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            message = "must be smtp://host:port or smtps://host:port"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.environment is Environment.PRODUCTION and self.webhook_allow_hosts:
            message = "webhook_allow_hosts is for development; leave it empty in production"
            raise ValueError(message)
        if not self.webhook_retry_s or not self.mail_retry_s:
            message = "a retry schedule needs at least one entry"
            raise ValueError(message)
        return self


def settings() -> NotificationSettings:
    """The settings of this process."""
    loaded: NotificationSettings = load(NotificationSettings)
    return loaded
