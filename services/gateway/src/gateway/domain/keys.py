"""What an API key is, and who may make one."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import ExpiryInPast, ScopeNotHeld, ScopeUnknown
from invoiceos_contracts.identity_v1 import ApiKeyCreated
from messaging.errors import Refusal

EVERYTHING = "*"
OPERATOR = "operator"
"""Scope of the operator's token; no API key ever has it."""
_RESOURCES = (
    "approvals",
    "customers",
    "invoices",
    "keys",
    "ledger",
    "notifications",
    "payments",
    "payouts",
    "providers",
    "routing",
    "rules",
    "wallets",
    "webhooks",
)
SCOPES = frozenset(f"{name}:{right}" for name in _RESOURCES for right in ("read", "write"))
SECRET_BYTES = 32
PREFIX_BYTES = 5
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_FORM = re.compile(r"iok_[a-z]_[0-9a-z]{8}_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Secret:
    """An API key in full, as its owner gets it once."""

    text: str

    @property
    def prefix(self) -> str:
        """The part that may be shown: `iok_p_7m3k9x2a`."""
        return self.text[:14]

    @property
    def hash(self) -> bytes:
        """What is stored in its place."""
        return hash_of(self.text)


def secret_of(environment: str, prefix: bytes, secret: str) -> Secret:
    """Put a key together from `PREFIX_BYTES` and 43 letters of randomness."""
    number = int.from_bytes(prefix, "big")
    letters = "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(8))
    return Secret(f"iok_{environment[0]}_{letters}_{secret}")


def hash_of(text: str) -> bytes:
    """SHA-256 of a key; enough, for the key holds 256 bits nobody can guess."""
    return hashlib.sha256(text.encode()).digest()


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of an API key at all."""
    return _FORM.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored."""

    tenant_id: UUID
    id: UUID
    name: str
    prefix: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


def key_created(key: ApiKey) -> ApiKeyCreated:
    """The fact that a key exists."""
    return ApiKeyCreated(
        tenant_id=key.tenant_id,
        api_key_id=key.id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
    )


class SecretBox:
    """Seals a key's secret inside the answer that is kept for its Idempotency-Key.

    The answer must be repeatable byte for byte, yet no secret may lie readable in the database.
    """

    def __init__(self, seed: str) -> None:
        """Derive the box's key from the gateway's own secret."""
        derived = hashlib.sha256(b"invoiceos/gateway/answers\0" + seed.encode()).digest()
        self._cipher = AESGCM(derived)

    def seal(self, secret: str, *, key_id: str, nonce: bytes) -> str:
        """The secret as it may be stored; `nonce` is 12 random bytes."""
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), key_id.encode())
        return base64.b64encode(sealed).decode()

    def open(self, sealed: str, *, key_id: str) -> str:
        """The secret; raises `InvalidTag` when it was sealed for another key."""
        raw = base64.b64decode(sealed)
        return self._cipher.decrypt(raw[:12], raw[12:], key_id.encode()).decode()


def refusal_of_grant(
    wanted: Iterable[str],
    held: frozenset[str],
    *,
    expires_at: datetime | None,
    now: datetime,
) -> Refusal | None:
    """Why a caller may not make such a key; None when it may."""
    for scope in wanted:
        if scope != EVERYTHING and scope not in SCOPES:
            return ScopeUnknown(f"{scope} is not a scope of the platform", scope=scope)
        if scope not in held and EVERYTHING not in held:
            return ScopeNotHeld(f"This key does not have the scope {scope}", scope=scope)
    if expires_at is not None and expires_at <= now:
        return ExpiryInPast()
    return None
