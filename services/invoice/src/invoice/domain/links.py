"""Tokens of payment links: they name the tenant and prove that the holder was given the link."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

_SECRET_BYTES = 16
_TOKEN_BYTES = 16 + _SECRET_BYTES
_TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """A tenant, and a secret of 128 bits that only a link to one of its invoices holds."""

    tenant_id: UUID
    secret: bytes

    @property
    def token(self) -> str:
        """43 characters that are safe in an address."""
        raw = self.tenant_id.bytes + self.secret
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @property
    def hash(self) -> bytes:
        """What is stored: the secret cannot be read back from it."""
        return hashlib.sha256(self.secret).digest()


def link_for(key: bytes, tenant_id: UUID, invoice_id: UUID) -> PaymentLink:
    """The link of an invoice: always the same one, so that it need not be stored."""
    mac = hmac.new(key, tenant_id.bytes + invoice_id.bytes, hashlib.sha256).digest()
    return PaymentLink(tenant_id, mac[:_SECRET_BYTES])


def read_token(token: str) -> PaymentLink | None:
    """The link a token stands for; None where it cannot be one of ours."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    link = PaymentLink(UUID(bytes=raw[:16]), raw[16:]) if len(raw) == _TOKEN_BYTES else None
    return link if link is not None and link.token == token else None
