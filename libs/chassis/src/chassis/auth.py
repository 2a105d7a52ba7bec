"""Who is asking: the gateway's short-lived signed token, and what it allows."""

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field

from invoiceos_contracts import encode
from invoiceos_contracts.ids import TenantId
from messaging import Kind, Refusal

ALGORITHM = "Ed25519"
LIFETIME_S = 60
ISSUER = "invoiceos/gateway"
_CACHE_MAX = 10_000


class Unauthenticated(Refusal):
    """Nobody we know is asking."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED
    title = "Send a valid API key as a bearer token"


class ScopeMissing(Refusal):
    """The key may not do this."""

    code = "scope_missing"
    kind = Kind.FORBIDDEN
    title = "This API key lacks the scope for the request"


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request runs."""

    tenant_id: UUID
    actor: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise `ScopeMissing` unless the caller has this scope."""
        if scope not in self.scopes and "*" not in self.scopes:
            raise ScopeMissing(f"The scope {scope} is needed", scope=scope)


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _key(public: bytes, private: bytes | None = None) -> OKPKey:
    parts: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _segment(public)}
    if private is not None:
        parts["d"] = _segment(private)
    return OKPKey.import_key(parts)


Second = Annotated[int, Field(ge=0, lt=2**53)]
"""Seconds since 1970."""


class _Claims(BaseModel):
    """What an internal token states; whatever is of another type makes it none of ours."""

    model_config = ConfigDict(strict=True)

    iss: Literal["invoiceos/gateway"]
    sub: Annotated[str, Field(min_length=1)]
    tenant: TenantId
    scopes: list[str]
    exp: Second
    nbf: Second = 0


class TokenMint:
    """Makes internal tokens; only the gateway holds one."""

    def __init__(self, private_key: str) -> None:
        """Take an Ed25519 seed, base64."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (
            Ed25519PrivateKey,
        )

        seed = base64.b64decode(private_key, validate=True)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        self._key = _key(public, seed)
        self._minted: dict[Caller, tuple[str, float]] = {}

    def mint(self, caller: Caller) -> str:
        """A token for a caller; the same one for a third of its life, so that receivers need not
        verify each request anew.
        """
        now = time.time()
        token, until = self._minted.get(caller, ("", 0.0))
        if now < until:
            return token
        if len(self._minted) > _CACHE_MAX:
            self._minted.clear()
        claims = {
            "iss": ISSUER,
            "sub": caller.actor,
            "tenant": encode("ten", caller.tenant_id),
            "scopes": sorted(caller.scopes),
            "iat": int(now),
            "exp": int(now) + LIFETIME_S,
        }
        token = jwt.encode({"alg": ALGORITHM}, claims, self._key, algorithms=[ALGORITHM])
        self._minted[caller] = (token, now + LIFETIME_S / 3)
        return token


class TokenReader:
    """Checks internal tokens with the gateway's public key and one fixed algorithm."""

    def __init__(self, public_key: str) -> None:
        """Take an Ed25519 public key, base64."""
        self._key = _key(base64.b64decode(public_key, validate=True))
        self._read: dict[str, tuple[Caller, float]] = {}

    def read(self, token: str) -> Caller:
        """The caller a token stands for; raises `Unauthenticated`."""
        now = time.time()
        caller, until = self._read.get(token, (None, 0.0))
        if caller is not None and now < until:
            return caller
        caller, until = self._verify(token, now)
        if len(self._read) > _CACHE_MAX:
            self._read.clear()
        self._read[token] = (caller, until)
        return caller

    def _verify(self, token: str, now: float) -> tuple[Caller, float]:
        try:
            stated = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            known = _Claims.model_validate(stated)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated from error
        if not known.nbf <= now < known.exp:
            raise Unauthenticated
        return Caller(known.tenant, known.sub, frozenset(known.scopes)), float(known.exp)


async def caller_of(request: Request) -> Caller:
    """The caller of a request that came through the gateway.

    Asynchronous, as every dependency here: FastAPI runs others in a thread, which costs more than
    they do.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    reader: TokenReader = request.app.state.token_reader
    return reader.read(token)


def needs(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """Dependency: the caller, who must have this scope. `Depends(needs("invoices:write"))`."""

    async def dependency(request: Request) -> Caller:
        caller = await caller_of(request)
        caller.require(scope)
        return caller

    return dependency


AnyCaller = Annotated[Caller, Depends(caller_of)]
