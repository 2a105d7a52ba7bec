"""Personal data that must travel or be stored, sealed under its subject's own data key.

Envelope encryption: a random data key seals the text, the platform's key wraps the data key. The
subject's id is bound in as associated data, so that a sealed value cannot be moved to another.
"""

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from invoiceos_contracts import Sealed


class Unreadable(ValueError):
    """The key is not the one that sealed this, or the value was moved or changed."""


class Sealer:
    """Seals and opens with the platform's personal-data key."""

    def __init__(self, key_base64: str) -> None:
        """Take 32 bytes in base64; raises `ValueError` when they are not that."""
        self._key = base64.b64decode(key_base64, validate=True)
        if len(self._key) != 32:
            message = "the personal-data key must be 32 bytes in base64"
            raise ValueError(message)
        self.key_id = hashlib.sha256(self._key).hexdigest()[:16]

    @staticmethod
    def new_data_key() -> bytes:
        """A data key for one subject."""
        return os.urandom(32)

    def wrap(self, data_key: bytes) -> bytes:
        """The data key as it may be stored."""
        return aes_key_wrap(self._key, data_key)

    def seal(self, text: str, *, subject: str, data_key: bytes) -> Sealed:
        """Seal text of a subject."""
        nonce = os.urandom(12)
        sealed = AESGCM(data_key).encrypt(nonce, text.encode(), subject.encode())
        return Sealed(
            key_id=self.key_id,
            wrapped_key=base64.b64encode(self.wrap(data_key)).decode(),
            nonce=base64.b64encode(nonce).decode(),
            ciphertext=base64.b64encode(sealed).decode(),
        )

    def open(self, sealed: Sealed, *, subject: str) -> str:
        """The text; raises `Unreadable`."""
        try:
            data_key = aes_key_unwrap(self._key, base64.b64decode(sealed.wrapped_key))
            opened = AESGCM(data_key).decrypt(
                base64.b64decode(sealed.nonce),
                base64.b64decode(sealed.ciphertext),
                subject.encode(),
            )
        except (InvalidTag, InvalidUnwrap, ValueError) as error:
            raise Unreadable("the sealed value cannot be opened with this key") from error
        return opened.decode()
