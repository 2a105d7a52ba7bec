"""Whoever writes to the books over HTTP as one tenant."""

import base64
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.auth import Caller, TokenMint

TEN = 10_000_000
NET = TEN - 150_000
SEED = base64.b64encode(b"k" * 32).decode()
PUBLIC = Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key().public_bytes_raw()
MINE = "merchant:available"
SHOP = "merchant:available:shop-7"
ESCROW = "escrow:order-12"


class Desk:
    """Asks as one tenant."""

    def __init__(self, client: httpx.AsyncClient, tenant_id: UUID) -> None:
        self._client, self.tenant_id = client, tenant_id

    async def call(
        self, method: str, path: str, body: Any = None, *, scope: str = "ledger:write", **more: str
    ) -> httpx.Response:
        token = TokenMint(SEED).mint(Caller(self.tenant_id, "ana", frozenset({scope})))
        headers = {"Authorization": f"Bearer {token}", **more}
        return await self._client.request(
            method, f"/api/v1/ledger/{path}", json=body, headers=headers
        )

    async def post(self, path: str, body: Any = None, status: int = 201, **more: str) -> Any:
        answer = await self.call("POST", path, body, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def code(self, path: str, body: Any = None) -> str:
        answer = await self.call("POST", path, body)
        assert answer.status_code >= 400, answer.text
        code: str = answer.json()["code"]
        return code

    async def get(self, path: str) -> Any:
        answer = await self.call("GET", path, scope="ledger:read")
        assert answer.status_code == 200, answer.text
        return answer.json()


def moving(reference: str, minor: int, *, source: str = MINE, to: str = SHOP, **more: Any) -> Any:
    legs = [(source, minor), (to, -minor)]
    postings = [{"address": a, "asset": "PATHUSD", "amount_minor": m} for a, m in legs]
    return {"reference": reference, "postings": postings, **more}


def holding(reference: str, minor: int, **more: Any) -> Any:
    place = {"address": MINE, "asset": "PATHUSD", "amount_minor": minor}
    return {"reference": reference, **place, **more}
