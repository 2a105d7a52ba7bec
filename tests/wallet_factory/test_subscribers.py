"""Facts in, facts out, on a real database."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis.application import build
from chassis.settings import load
from invoiceos_contracts import PLATFORM, decode
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying, Guard
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from invoiceos_contracts.wallet_v1 import (
    WalletFailed,
    WalletModeSelected,
    WalletReady,
    WalletSecretsDestroyed,
)
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, record_of
from wallet_factory.app import service
from wallet_factory.commands.register_master import register_master
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.domain.wallet import memo_of
from wallet_factory.errors import TagKeyChanged
from wallet_factory.settings import WalletFactorySettings

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
Issuing = Callable[..., InvoiceIssuing]


def health(new: str, minutes: int = 0, currency: str | None = None) -> ProviderHealthChanged:
    return ProviderHealthChanged(
        tenant_id=PLATFORM,
        provider_id=UUID(int=7),
        provider="tempo",
        rail="tempo",
        currency=currency,
        old="closed",
        new=new,
        score_ppm=900_000,
        samples=20,
        cause="test",
        at=NOON + timedelta(minutes=minutes),
    )


def destroying(ready: WalletReady) -> EphemeralWalletDestroying:
    return EphemeralWalletDestroying(
        tenant_id=ready.tenant_id,
        wallet_id=ready.wallet_id,
        invoice_id=ready.invoice_id,
        rail=ready.rail,
        chain_id=ready.chain_id,
        address=ready.address,
        guard=Guard(
            drained=True,
            watch_window_over=True,
            unknown_payments=0,
            open_disputes=0,
            open_refunds=0,
            legal_hold=False,
        ),
    )


async def test_an_invoice_gets_one_wallet_however_often_it_is_asked_for(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    asked = issuing()
    same = record_of(asked)
    await unit.receives(same, same, asked, asked)
    await unit.receives(same)
    await unit.receives(asked)
    selected, ready = await unit.facts()
    assert isinstance(selected, WalletModeSelected)
    assert isinstance(ready, WalletReady)
    assert selected.wallet_id == ready.wallet_id
    assert (ready.invoice_id, ready.rail, ready.chain_id) == (asked.invoice_id, "tempo", 31337)
    assert ready.accepted_assets == ("PATHUSD", "ALPHAUSD")
    assert (ready.due, ready.ttl_s, ready.watch_window_s) == (asked.due, 3600, 600)
    salt = await unit.worker.fetchval("select memo_salt from wallet_secret")
    assert ready.memo == memo_of(salt, asked.invoice_id)


async def test_a_thousand_invoices_in_one_poll_get_addresses_of_their_own(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    tenants = [uuid4() for _ in range(20)]
    await unit.receives(*[issuing(tenant_id=random.choice(tenants)) for _ in range(1000)])
    ready = await unit.facts(WalletReady)
    assert len({fact.address for fact in ready}) == 1000
    assert len({fact.invoice_id for fact in ready}) == 1000
    assert await unit.worker.fetchval("select next_tag from tempo_master") == 1000
    assert await unit.worker.fetchval("select count(*) from issued_address") == 1000


async def test_doubled_and_shuffled_requests_end_in_one_wallet_each(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    asked = [issuing() for _ in range(40)]
    records = [record_of(fact) for fact in asked] * 3
    random.Random(11).shuffle(records)
    for start in range(0, len(records), 17):
        await unit.receives(*records[start : start + 17])
    ready = await unit.facts(WalletReady)
    assert sorted(f.invoice_id for f in ready) == sorted(f.invoice_id for f in asked)


async def test_an_unhealthy_rail_fails_the_invoice_and_a_retry_serves_it(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    asked = issuing()
    await unit.receives(health("open"))
    await unit.receives(asked)
    (failed,) = await unit.facts(WalletFailed)
    assert (failed.reason, failed.tried) == ("unhealthy", ("tempo: unhealthy",))
    await unit.receives(asked)
    assert len(await unit.facts()) == 1, "an attempt is decided once"
    await unit.receives(health("closed", 1))
    again = issuing(asked.invoice_id, tenant_id=asked.tenant_id, attempt=2)
    await unit.receives(again)
    (ready,) = await unit.facts(WalletReady)
    assert ready.wallet_id != failed.wallet_id
    late = issuing(asked.invoice_id, tenant_id=asked.tenant_id, attempt=3)
    await unit.receives(late)
    assert len(await unit.facts(WalletReady)) == 1


async def test_two_attempts_in_one_poll_of_a_well_rail_give_one_wallet(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    first = issuing()
    await unit.receives(first, issuing(first.invoice_id, tenant_id=first.tenant_id, attempt=2))
    assert len(await unit.facts(WalletReady)) == 1


async def test_a_rail_whose_one_currency_is_unwell_still_serves(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    await unit.receives(health("open", 1, currency="EUR"))
    await unit.receives(issuing())
    assert len(await unit.facts(WalletReady)) == 1


async def test_where_tempo_is_down_the_invoice_is_paid_at_a_provider(
    unit: ServiceUnderTest, issuing: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOICEOS_RAILS", "tempo,psp")
    monkeypatch.setenv("INVOICEOS_PSP_ASSETS", "stripe=USD+EUR,paypal=USD")
    load.cache_clear()
    await unit.receives(health("open", 1, currency="USD"))
    await unit.receives(issuing(asset="EUR"), issuing(), issuing(mode="ephemeral"), issuing())
    ready = await unit.facts(WalletReady)
    assert [(f.rail, f.chain_id, f.accepted_assets, f.mode) for f in ready] == [
        ("psp", None, ("EUR",), "persistent"),
        ("psp", None, ("USD",), "persistent"),
        ("psp", None, ("USD",), "ephemeral"),
        ("psp", None, ("USD",), "persistent"),
    ]
    assert {fact.decision for fact in ready} == {"configured_order.v2"}
    assert len({decode("psp", fact.address) for fact in ready}) == 4
    skipped = await unit.worker.fetchval(
        "select skipped from decision where invoice_id = $1", ready[1].invoice_id
    )
    assert skipped == [{"rail": "tempo", "reason": "unhealthy", "detail": "tempo"}]
    await unit.receives(destroying(ready[2]))
    (gone,) = await unit.facts(WalletSecretsDestroyed)
    assert [item.what for item in gone.items] == ["memo salt", "reference record"]
    assert "nothing was on a chain" in gone.kept[0]


async def test_older_news_of_health_never_overwrite_newer(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    await unit.receives(health("open", 5), health("closed", 1))
    await unit.receives(health("closed", 2))
    await unit.receives(issuing())
    assert len(await unit.facts(WalletFailed)) == 1
    await unit.receives(health("half_open", 6))
    await unit.receives(issuing())
    assert len(await unit.facts(WalletReady)) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asset": "EUR"}, "asset_not_accepted"),
        ({"asset": "XXQ"}, "asset_not_accepted"),
        ({"ttl_s": 0}, "ttl_out_of_range"),
        ({"ttl_s": 10**12}, "ttl_out_of_range"),
        ({"watch_window_s": -1}, "ttl_out_of_range"),
    ],
)
async def test_what_cannot_be_served_fails_alone(
    unit: ServiceUnderTest, issuing: Issuing, changes: dict[str, Any], reason: str
) -> None:
    odd, good = issuing(**changes), issuing()
    await unit.receives(odd, good)
    (failed,) = await unit.facts(WalletFailed)
    assert (failed.invoice_id, failed.reason) == (odd.invoice_id, reason)
    (ready,) = await unit.facts(WalletReady)
    assert ready.invoice_id == good.invoice_id
    stored = await unit.worker.fetch("select failure, rail from decision order by failure")
    assert [tuple(row) for row in stored] == [(reason, None), (None, "tempo")]


async def test_destroyed_secrets_are_gone_and_stated_once(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    other = issuing()
    await unit.receives(issuing(), other)
    ready = next(f for f in await unit.facts(WalletReady) if f.invoice_id != other.invoice_id)
    salt, derivation = (
        await unit.worker.fetch(
            "select memo_salt, derivation from wallet_secret where wallet_id = $1", ready.wallet_id
        )
    )[0]
    await unit.receives(destroying(ready), destroying(ready))
    await unit.receives(destroying(ready))
    (gone,) = await unit.facts(WalletSecretsDestroyed)
    assert [item.fingerprint for item in gone.items] == [
        sha256(salt).hexdigest(),
        sha256(derivation).hexdigest(),
    ]
    assert "none ever existed" in gone.kept[0]
    assert await unit.worker.fetchval("select count(*) from wallet_secret") == 1
    tombstone = await unit.worker.fetch(
        "select address, secrets_destroyed_at from wallet where id = $1", ready.wallet_id
    )
    assert tombstone[0]["address"] == ready.address
    assert tombstone[0]["secrets_destroyed_at"] is not None


async def test_a_persistent_wallet_or_a_foreign_tenants_keeps_its_secrets(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    await unit.receives(issuing(mode="persistent"), issuing())
    persistent, ephemeral = await unit.facts(WalletReady)
    await unit.receives(destroying(persistent))
    await unit.receives(destroying(ephemeral.model_copy(update={"tenant_id": uuid4()})))
    assert await unit.facts(WalletSecretsDestroyed) == []
    assert await unit.worker.fetchval("select count(*) from wallet_secret") == 2


async def test_the_factory_does_not_start_under_another_key(unit: ServiceUnderTest) -> None:
    changed = TempoRail(31337, "0x" + "11" * 20, "58e21090", ("PATHUSD",), b"\x02" * 32)
    with pytest.raises(TagKeyChanged):
        async with unit.worker.transaction() as tx:
            await register_master(tx, changed)


async def test_starting_the_service_registers_its_master(
    make_database: Callable[[str], ServiceDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_database("wallet_factory")
    monkeypatch.setenv("INVOICEOS_DATABASE_API_URL", place.url("api"))
    monkeypatch.setenv("INVOICEOS_DATABASE_WORKER_URL", place.url("worker"))
    monkeypatch.setenv("INVOICEOS_ROLES", "api")
    for _ in range(2):
        app = build(service, WalletFactorySettings())
        async with app.router.lifespan_context(app):
            found = await app.state.runtime.worker.fetch("select master_id from tempo_master")
            assert [row["master_id"] for row in found] == ["58e21090"]


async def test_an_address_cannot_be_given_twice_even_if_the_counter_were_set_back(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    await unit.receives(issuing())
    await unit.worker.pool.execute("update tempo_master set next_tag = 0")
    await unit.receives(issuing())
    assert len(await unit.facts(WalletReady)) == 1
    assert await unit.worker.fetchval("select reason from dead_letter") == "handler"


async def test_secrets_are_out_of_the_api_roles_reach(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    asked = issuing()
    await unit.receives(asked)
    for statement in (
        "select memo_salt from wallet_secret",
        "select next_tag from tempo_master",
        "update wallet set address = 'x'",
        "delete from decision",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with unit.api.transaction([asked.tenant_id]) as tx:
                await tx.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with unit.worker.transaction() as tx:
            await tx.execute("delete from wallet")


async def test_the_api_role_sees_its_own_tenants_wallets_alone(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    mine, other = issuing(), issuing()
    await unit.receives(mine, other)
    async with unit.api.transaction([mine.tenant_id]) as tx:
        rows = await tx.fetch("select invoice_id from wallet")
    assert [row["invoice_id"] for row in rows] == [mine.invoice_id]
    async with unit.api.transaction() as tx:
        assert await tx.fetch("select id from wallet") == []
