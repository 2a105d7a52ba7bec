"""Payment links: whoever holds one may pay its invoice, and do nothing else.

The invoice service makes the tokens: a tenant's id and a secret, 43 characters. Here only a hash of
a token is kept, as the fact that issued the invoice told it.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from uuid import UUID

_TOKEN_LENGTH = 43
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of a token: whose invoice it is for, and how to find that."""

    tenant_id: UUID
    hash: bytes


def read_token(token: str) -> Link | None:
    """The link of a token; None where it cannot be one."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    if len(raw) != _TOKEN_BYTES or not canonical:
        return None
    return Link(UUID(bytes=raw[:16]), hashlib.sha256(token.encode()).digest())


def link_in(url: str) -> Link | None:
    """The link whose page is at this address."""
    return read_token(url.rpartition("/")[2])
