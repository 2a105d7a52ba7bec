"""Checking a destruction certificate: everything in it can be checked by whoever holds it."""

import base64

from chassis.evidence import canonical, digest, key_id_of, verify
from invoiceos_contracts.ephemeral_v1 import Certificate

KEY_BYTES = 32


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except ValueError:
        return False


def findings(certificate: Certificate, public_key: str | None = None) -> list[tuple[str, bool]]:
    """What was checked, and whether it is right."""
    body = certificate.body
    if not _is_key(certificate.public_key):
        return [("the public key is 32 bytes in base64", False)]
    found = [
        ("the hash is that of the body", digest(canonical(body)) == certificate.hash),
        (
            "the signature is right",
            verify(certificate.public_key, certificate.hash, certificate.signature),
        ),
        ("the key id is that of the key", key_id_of(certificate.public_key) == certificate.key_id),
        ("the guard was passed", body.guard.drained and body.guard.watch_window_over),
        ("nothing was left in the wallet", all(b.amount_minor == 0 for b in body.balances)),
    ]
    if public_key is not None:
        found.append(("the key is the platform's", certificate.public_key == public_key))
    return found
