"""What the ledger reads from its environment."""

from functools import cache
from typing import Annotated

from pydantic import Field, SecretStr

from chassis.evidence import Signer
from chassis.settings import Settings, load


class LedgerSettings(Settings):
    """Settings of the reserve ledger."""

    evidence_private_key: SecretStr
    """Ed25519 seed that signs reserve statements, base64."""
    platform_fee_ppm: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Platform fee on what counts towards an invoice, in millionths; 10,000 is one per cent."""
    ledger_head_publish_s: Annotated[int, Field(ge=1, le=86_400)] = 3600
    """Seconds between two publications of a ledger's signed head, at least."""
    reserve_freeze_on_breach: bool = False
    """Whether issuing and payouts stand still from a breach on, until a person lifts it."""


def settings() -> LedgerSettings:
    """The settings of this process."""
    found: LedgerSettings = load(LedgerSettings)
    return found


def signer() -> Signer:
    """What signs reserve statements."""
    return _signer(settings().evidence_private_key.get_secret_value())


@cache
def _signer(seed: str) -> Signer:
    return Signer.from_base64(seed)
