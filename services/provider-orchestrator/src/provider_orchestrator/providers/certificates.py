"""Public keys that signatures of webhooks are checked with, by certificates of pinned hosts."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from chassis.bodies import whole
from provider_orchestrator.domain.adapters import NotAuthentic, ProviderFault
from provider_orchestrator.domain.outcomes import Outcome

KEPT_MAX = 16
SHA256 = hashes.SHA256()
_BYTES_MAX = 64 * 1024
_WAIT = aiohttp.ClientTimeout(total=5)


class Certificates:
    """Fetches each certificate once, and only from these hosts."""

    def __init__(
        self, session: aiohttp.ClientSession, hosts: Sequence[str], *, in_production: bool
    ) -> None:
        """Nothing is fetched yet."""
        self._session = session
        self._hosts = frozenset(hosts)
        self._schemes = {"https"} if in_production else {"https", "http"}
        self._kept: dict[str, x509.Certificate] = {}
        self._fetching = asyncio.Lock()

    async def check(
        self,
        url: str,
        signature: bytes,
        signed: bytes,
        now: datetime,
        digest: hashes.HashAlgorithm = SHA256,
    ) -> None:
        """Whether the certificate's owner signed this, by RSA.

        Raises `NotAuthentic`, or `ProviderFault` where the certificate cannot be had.
        """
        certificate = await self._certificate(url)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise NotAuthentic("the certificate is not valid now")
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise NotAuthentic("the certificate has no RSA key")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        except InvalidSignature as error:
            raise NotAuthentic("the signature does not fit") from error

    async def _certificate(self, url: str) -> x509.Certificate:
        try:
            split = urlsplit(url)
        except ValueError as error:
            raise NotAuthentic("the certificate has no address") from error
        # The whole of it, so that neither a user nor a port stands beside the host.
        if split.netloc not in self._hosts or split.scheme not in self._schemes:
            raise NotAuthentic("the certificate is of another host")
        async with self._fetching:
            if url not in self._kept:
                found = await self._fetch(url)
                if len(self._kept) >= KEPT_MAX:
                    del self._kept[next(iter(self._kept))]
                self._kept[url] = found
            return self._kept[url]

    async def _fetch(self, url: str) -> x509.Certificate:
        try:
            async with self._session.get(url, timeout=_WAIT, allow_redirects=False) as response:
                raw, status = await whole(response.content, _BYTES_MAX), response.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderFault(Outcome.UNKNOWN, "certificate_not_there") from error
        if 400 <= status < 500:
            raise NotAuthentic("there is no such certificate")
        if status != 200:
            raise ProviderFault(Outcome.UNKNOWN, "certificate_not_there")
        try:
            return x509.load_pem_x509_certificate(raw)
        except ValueError as error:
            raise NotAuthentic("this is no certificate") from error
