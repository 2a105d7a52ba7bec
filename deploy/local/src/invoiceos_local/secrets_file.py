"""The secrets of one stack: made once, kept in `secrets.json`, readable by the owner alone."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from invoiceos_local.processes import write_private


@dataclass(frozen=True, repr=False)
class StackSecrets:
    """Keys are base64 of the raw bytes, unless a name says otherwise."""

    operator_token: str
    database_password_seed: str
    internal_token_private_key: str
    internal_token_public_key: str
    evidence_private_key: str
    webhook_secret_key: str
    personal_data_key: str
    tempo_tag_key_hex: str
    kafka_password_seed: str = ""
    kafka_broker_password: str = ""
    evm_salt_key_hex: str = ""

    @classmethod
    def of(cls, folder: Path) -> StackSecrets:
        """Those of the folder, made now if it has none."""
        path = folder / "secrets.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        folder.mkdir(parents=True, exist_ok=True)
        made = replace(cls.random(), **known)  # what a newer version needs more is made now
        write_private(path, json.dumps(asdict(made), indent=2))
        return made

    @classmethod
    def random(cls) -> StackSecrets:
        private, public = _signing_key()
        return cls(
            operator_token=secrets.token_urlsafe(32),
            database_password_seed=secrets.token_hex(32),
            internal_token_private_key=private,
            internal_token_public_key=public,
            evidence_private_key=_signing_key()[0],
            webhook_secret_key=_base64(secrets.token_bytes(32)),
            personal_data_key=_base64(secrets.token_bytes(32)),
            tempo_tag_key_hex=secrets.token_hex(32),
            kafka_password_seed=secrets.token_hex(32),
            kafka_broker_password=secrets.token_hex(32),
            evm_salt_key_hex=secrets.token_hex(32),
        )

    def database_password(self, role: str) -> str:
        """What `invoiceos database prepare` gives the role."""
        return _derived(self.database_password_seed, role)

    def kafka_password(self, principal: str) -> str:
        """What `invoiceos acls apply` gives the principal."""
        return _derived(self.kafka_password_seed, principal)


def _derived(seed: str, name: str) -> str:
    return hmac.new(seed.encode(), name.encode(), "sha256").hexdigest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _signing_key() -> tuple[str, str]:
    """An Ed25519 key pair, private first."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return _base64(key.private_bytes_raw()), _base64(key.public_key().public_bytes_raw())
