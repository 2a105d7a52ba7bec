"""What the gateway reads from its environment, beside what every service reads."""

import base64
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from chassis.sealing import Sealer
from chassis.settings import Settings, load

Network = IPv4Network | IPv6Network
BaseUrl = Annotated[str, Field(pattern=r"^https?://[^/?#]+$")]
"""Scheme, host and port; no path."""


class GatewaySettings(Settings):
    """Settings of the gateway."""

    internal_token_private_key: SecretStr
    """Ed25519 seed that signs internal tokens, base64; the public key is derived from it."""
    operator_token: SecretStr = SecretStr("")
    """Bearer token of the operators, 32 characters or more; empty: they have no way in."""
    approver_token: SecretStr = SecretStr("")
    """Bearer token of a second operator, who approves what the first one made; 32 or more."""
    personal_data_key: SecretStr
    """Seals customers in partners' requests: 32 bytes, base64; the same as invoice's."""
    public_url: BaseUrl = "http://127.0.0.1:8080"
    """Where clients reach the gateway."""
    invoice_url: BaseUrl
    wallet_factory_url: BaseUrl
    ephemeral_manager_url: BaseUrl
    provider_orchestrator_url: BaseUrl
    reserve_ledger_url: BaseUrl
    notification_url: BaseUrl
    rate_limit_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = 200
    """Requests a second that one API key may send, counted in each process; 0: no limit."""
    rate_limit_burst: Annotated[int, Field(ge=1, le=10_000_000)] = 400
    """Requests one API key may send at once after a pause."""
    failed_logins_per_minute: Annotated[float, Field(ge=0, le=1_000_000)] = 60
    """Unknown keys that one client address may try; 0: no limit."""
    public_rate_limit_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = 10
    """Requests a second one client address may send to pages of payment links; 0: no limit."""
    public_rate_limit_burst: Annotated[int, Field(ge=1, le=10_000_000)] = 60
    """Requests one client address may send there at once after a pause."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    """Networks of our proxies, separated by commas: what they forward says who the client is."""
    upstream_timeout_s: Annotated[float, Field(gt=0, le=120)] = 35
    """Longest wait for a service's answer; above the longest `Prefer: wait`."""
    body_timeout_s: Annotated[float, Field(gt=0, le=120)] = 15
    """Longest wait for a client's body."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of web pages that may call the API, separated by commas; none by default."""

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @model_validator(mode="before")
    @classmethod
    def _derive_public_key(cls, data: dict[str, Any]) -> dict[str, Any]:
        private = data.get("internal_token_private_key")
        if private is None:
            return data
        seed = private.get_secret_value() if isinstance(private, SecretStr) else str(private)
        derived = public_key_of(seed)
        given = data.get("internal_token_public_key") or derived
        if given != derived:
            raise ValueError("internal_token_public_key does not belong to the private key")
        return {**data, "internal_token_public_key": derived}

    @field_validator("personal_data_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        Sealer(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _operator_token_is_long(self) -> Self:
        if 0 < len(self.operator_token.get_secret_value()) < 32:
            raise ValueError("operator_token needs at least 32 characters")
        approver = self.approver_token.get_secret_value()
        if 0 < len(approver) < 32:
            raise ValueError("approver_token needs at least 32 characters")
        if approver and approver == self.operator_token.get_secret_value():
            raise ValueError("approver_token is another one than operator_token")
        return self

    @property
    def upstreams(self) -> dict[str, str]:
        """Address of each service that requests are forwarded to."""
        return {
            "invoice": self.invoice_url,
            "wallet-factory": self.wallet_factory_url,
            "ephemeral-manager": self.ephemeral_manager_url,
            "provider-orchestrator": self.provider_orchestrator_url,
            "reserve-ledger": self.reserve_ledger_url,
            "notification": self.notification_url,
        }


def public_key_of(seed: str) -> str:
    """Public key of an Ed25519 seed; both base64. Raises `ValueError`."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed, validate=True))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def settings() -> GatewaySettings:
    """The settings of this process."""
    found: GatewaySettings = load(GatewaySettings)
    return found


@cache
def sealer() -> Sealer:
    """Seals personal data under the platform's key."""
    return Sealer(settings().personal_data_key.get_secret_value())
