"""Signed, hash-chained statements: what a certificate and a reserve statement have in common."""

import base64
import hashlib
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel

GENESIS = "0" * 64
"""Stands for the hash before the first."""


def canonical(value: BaseModel | dict[str, object] | list[object]) -> bytes:
    """The one form of a value that is hashed: JSON, keys sorted, no spaces, UTF-8, no floats."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(*parts: bytes) -> str:
    """SHA-256 of the parts, hexadecimal; each part is preceded by its length, so none can shift."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class Signer:
    """Holds the private key of one service's statements."""

    key: Ed25519PrivateKey

    @classmethod
    def from_base64(cls, seed: str) -> "Signer":
        """Key from 32 bytes in base64; raises `ValueError` when they are not that."""
        return cls(Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed, validate=True)))

    @property
    def public_key(self) -> str:
        """Public key, base64."""
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    @property
    def key_id(self) -> str:
        """First 16 hexadecimal digits of the public key's SHA-256."""
        return key_id_of(self.public_key)

    def sign(self, hash_hex: str) -> str:
        """Ed25519 over the bytes of a hash; base64."""
        return base64.b64encode(self.key.sign(bytes.fromhex(hash_hex))).decode()


def key_id_of(public_key: str) -> str:
    """Name of a public key given in base64."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]


def verify(public_key: str, hash_hex: str, signature: str) -> bool:
    """Whether a signature over a hash is right."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), bytes.fromhex(hash_hex))
    except (ValueError, InvalidSignature):
        return False
    return True
