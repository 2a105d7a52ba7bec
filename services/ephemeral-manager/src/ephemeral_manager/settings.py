"""What the manager is told from outside."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from chassis.evidence import Signer
from chassis.settings import Settings, load


class EphemeralManagerSettings(Settings):
    """Settings of ephemeral-manager; each is `INVOICEOS_` and its name in capitals."""

    evidence_private_key: SecretStr
    """Ed25519 seed that signs destruction certificates: 32 bytes, base64."""
    ttl_s_max: Annotated[int, Field(ge=60, le=10 * 366 * 24 * 3600)] = 90 * 24 * 3600
    """Seconds from now that a time to live may be extended to at most."""
    destroy_retry_s: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds until a destruction that is not confirmed is asked for again; doubles to an hour."""

    bulk_open_rows_max: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    """Rows of bulk orders that one tenant may have under way."""
    bulk_batch: Annotated[int, Field(ge=1, le=5000)] = 500
    """Rows of bulk orders that are asked for in one transaction."""
    bulk_streams_max: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Streams of progress that one process serves at once."""

    @field_validator("evidence_private_key")
    @classmethod
    def _usable_key(cls, value: SecretStr) -> SecretStr:
        Signer.from_base64(value.get_secret_value())
        return value


def settings() -> EphemeralManagerSettings:
    """The settings of this process."""
    found: EphemeralManagerSettings = load(EphemeralManagerSettings)
    return found


def signer() -> Signer:
    """Holder of the key that signs certificates."""
    return Signer.from_base64(settings().evidence_private_key.get_secret_value())
