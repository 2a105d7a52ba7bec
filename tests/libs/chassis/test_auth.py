"""An internal token is believed for its time, from its issuer, and says alone whose request it is."""

import base64
import time
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Request
from joserfc import jwt

from chassis import auth
from chassis.auth import LIFETIME_S, Caller, TokenMint, TokenReader, Unauthenticated, caller_of
from invoiceos_contracts import encode

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
CALLER = Caller(uuid4(), "key_test", frozenset({"invoices:read"}))


def a_reader() -> TokenReader:
    return TokenReader(base64.b64encode(PUBLIC).decode())


def a_token(without: str = "", **claims: Any) -> str:
    """A token as the gateway signs it, with other claims or without one of them."""
    given = {
        "iss": auth.ISSUER,
        "sub": CALLER.actor,
        "tenant": encode("ten", CALLER.tenant_id),
        "scopes": sorted(CALLER.scopes),
        "exp": int(time.time()) + LIFETIME_S,
    }
    algorithms = [auth.ALGORITHM]
    key = auth._key(PUBLIC, SEED)
    stated = {name: value for name, value in (given | claims).items() if name != without}
    return jwt.encode({"alg": auth.ALGORITHM}, stated, key, algorithms=algorithms)


def test_a_token_is_read_as_it_was_minted() -> None:
    token = TokenMint(base64.b64encode(SEED).decode()).mint(CALLER)
    assert a_reader().read(token) == CALLER


def test_a_token_is_good_for_its_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    token, reader = a_token(exp=int(now) + 10), a_reader()
    with pytest.raises(Unauthenticated):
        reader.read(a_token(exp=int(now) - 1))
    assert reader.read(token) == CALLER
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: now + 11))
    with pytest.raises(Unauthenticated):
        reader.read(token)


@pytest.mark.parametrize("issuer", ["invoiceos/other", ""])
def test_a_token_of_another_issuer_is_refused(issuer: str) -> None:
    with pytest.raises(Unauthenticated):
        a_reader().read(a_token(iss=issuer))


@pytest.mark.parametrize("missing", ["exp", "tenant", "sub", "scopes"])
def test_a_token_that_says_too_little_is_refused(missing: str) -> None:
    with pytest.raises(Unauthenticated):
        a_reader().read(a_token(without=missing))


async def test_the_tenant_is_the_tokens_whatever_headers_say() -> None:
    other = encode("ten", uuid4()).encode()
    headers = [(b"authorization", f"Bearer {a_token()}".encode())]
    headers += [(name, other) for name in (b"x-tenant", b"x-tenant-id", b"tenant")]
    app = SimpleNamespace(state=SimpleNamespace(token_reader=a_reader()))
    request = Request({"type": "http", "headers": headers, "app": app})
    assert (await caller_of(request)).tenant_id == CALLER.tenant_id
