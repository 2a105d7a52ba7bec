"""The door between services: internal tokens as someone inside might forge them."""

import base64
import hashlib
import hmac
import json
import re
import time
import tomllib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.bad_input.catalogue import CASES

from chassis.auth import ALGORITHM, ISSUER

TABLE: Mapping[str, Mapping[str, Any]] = tomllib.loads((CASES.parent / "tokens.toml").read_text())[
    "cases"
]
_SECONDS = re.compile(r'"@([+-][0-9]+)"')


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _changed(good: Mapping[str, Any], change: str | None) -> str:
    """A JSON object with some members changed; what is no JSON object takes its place."""
    if change is None:
        return json.dumps(good)
    text = _SECONDS.sub(lambda found: str(int(time.time()) + int(found[1])), change)
    if not text.startswith("{") or not text.endswith("}"):
        return text
    kept = {name: value for name, value in good.items() if f'"{name}"' not in text}
    return json.dumps(kept)[:-1] + ", " + text[1:]


class Forger:
    """Makes tokens with the gateway's own key, and with none."""

    def __init__(self, private_key: str, tenant: str) -> None:
        """Take the gateway's seed, base64, and a tenant's public id."""
        self._key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private_key))
        self._tenant = tenant

    def token(self, given: Mapping[str, Any]) -> str:
        """The token of a case; a good one of an empty case."""
        if "text" in given or "repeat" in given:
            text, times = given.get("repeat", (given.get("text"), 1))
            return text * times
        good = {
            "iss": ISSUER,
            "sub": "key_someone",
            "tenant": self._tenant,
            "scopes": ["invoices:read"],
            "exp": int(time.time()) + 60,
        }
        header = _changed({"alg": ALGORITHM}, given.get("header"))
        claims = _changed(good, given.get("claims"))
        signed = given.get("signed", "gateway")
        about = f"{_segment(header.encode())}.{_segment(claims.encode())}"
        said = f"{_segment(header.encode())}.{_segment(json.dumps(good).encode())}"
        return f"{about}.{self._signature(signed, said if signed == 'kept' else about)}"

    def _signature(self, signed: str, about: str) -> str:
        if signed == "nobody":
            return ""
        if signed == "public":
            public = self._key.public_key().public_bytes_raw()
            return _segment(hmac.digest(public, about.encode(), hashlib.sha256))
        key = Ed25519PrivateKey.generate() if signed == "stranger" else self._key
        return _segment(key.sign(about.encode()))
