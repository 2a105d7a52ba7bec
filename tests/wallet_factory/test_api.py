"""What the factory answers over HTTP."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from invoiceos_contracts import encode
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletReady
from testkit.service import ServiceUnderTest

Issuing = Callable[..., InvoiceIssuing]


async def test_wallets_are_listed_newest_first_in_pages(
    unit: ServiceUnderTest, client: Any, issuing: Issuing
) -> None:
    tenant = uuid4()
    for mode in ("ephemeral", "persistent", None):
        await unit.receives(issuing(tenant_id=tenant, mode=mode))
    await unit.receives(issuing())
    first = (await client.get("/api/v1/wallets", tenant, limit=2)).json()
    rest = (
        await client.get("/api/v1/wallets", tenant, limit=2, cursor=first["next_cursor"])
    ).json()
    shown = [item["wallet_id"] for item in first["items"] + rest["items"]]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 3
    assert rest["next_cursor"] is None
    only = (await client.get("/api/v1/wallets", tenant, mode="persistent", rail="tempo")).json()
    assert [item["mode"] for item in only["items"]] == ["persistent"]
    wanted = first["items"][0]["invoice_id"]
    one = (await client.get("/api/v1/wallets", tenant, invoice_id=wanted)).json()
    assert [item["invoice_id"] for item in one["items"]] == [wanted]


async def test_a_wallet_and_its_decision_can_be_read(
    unit: ServiceUnderTest, client: Any, issuing: Issuing
) -> None:
    asked = issuing(recurring=True)
    await unit.receives(asked)
    (ready,) = await unit.facts(WalletReady)
    path = f"/api/v1/wallets/{encode('wal', ready.wallet_id)}"
    wallet = (await client.get(path, asked.tenant_id)).json()
    assert wallet["address"] == ready.address
    assert wallet["due"] == {"amount_minor": 12_500, "asset": "USD"}
    decision = (await client.get(f"{path}/decision", asked.tenant_id)).json()
    assert decision["mode_rule"] == "recurring.v1"
    assert decision["inputs"]["selector"]["recurring"] is True
    assert decision["rail"] == "tempo"


async def test_the_decision_of_a_failed_attempt_can_be_read(
    unit: ServiceUnderTest, client: Any, issuing: Issuing
) -> None:
    asked = issuing(asset="EUR")
    await unit.receives(asked)
    (failed,) = await unit.facts(WalletFailed)
    path = f"/api/v1/wallets/{encode('wal', failed.wallet_id)}"
    assert (await client.get(path, asked.tenant_id)).status_code == 404
    decision = (await client.get(f"{path}/decision", asked.tenant_id)).json()
    assert decision["failure"] == "asset_not_accepted"
    assert decision["skipped"] == [
        {"rail": "tempo", "reason": "asset_not_accepted", "detail": None}
    ]


async def test_a_foreign_wallet_and_an_unknown_one_look_the_same(
    unit: ServiceUnderTest, client: Any, issuing: Issuing
) -> None:
    await unit.receives(issuing())
    (ready,) = await unit.facts(WalletReady)
    for tail in ("", "/decision"):
        foreign = await client.get(
            f"/api/v1/wallets/{encode('wal', ready.wallet_id)}{tail}", uuid4()
        )
        unknown = await client.get(f"/api/v1/wallets/{encode('wal', uuid4())}{tail}", uuid4())
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json() == unknown.json()
        assert foreign.json()["code"] == "wallet_not_found"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/wallets/nonsense", {}),
        ("/api/v1/wallets", {"cursor": "x"}),
        ("/api/v1/wallets", {"limit": 0}),
        ("/api/v1/wallets", {"limit": 201}),
        ("/api/v1/wallets", {"mode": "other"}),
        ("/api/v1/wallets", {"invoice_id": "inv_1"}),
    ],
)
async def test_bad_input_is_refused_with_a_code(
    client: Any, path: str, query: dict[str, Any]
) -> None:
    answer = await client.get(path, uuid4(), **query)
    assert answer.status_code == 422
    assert answer.json()["code"]


async def test_the_scope_is_needed(client: Any) -> None:
    answer = await client.get("/api/v1/wallets", uuid4(), "invoices:read")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert (await client.http.get("/api/v1/wallets")).status_code == 401
