"""What the tests of this folder are made of: settings, wallets, an orchestrator stepped by hand."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from invoiceos_contracts import Amount
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying, Guard
from invoiceos_contracts.payment_v1 import PaymentEvent
from invoiceos_contracts.wallet_v1 import WalletReady
from invoiceos_local import tempo_facts as facts
from invoiceos_local.chain import virtual_address
from provider_orchestrator.app import service
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.tempo.adapter import Tempo
from provider_orchestrator.settings import OrchestratorSettings
from provider_orchestrator.workers import ChainWatch, HealthRecorder, Step
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def settings_for(rpc_url: str, **more: Any) -> OrchestratorSettings:
    values: dict[str, Any] = {
        "environment": "test",
        "database_api_url": NOWHERE,
        "database_worker_url": NOWHERE,
        "tempo_rpc_url": rpc_url,
        "tempo_chain_id": facts.CHAIN_ID,
        "tempo_master_address": facts.MASTER_ADDRESS,
        "tempo_tokens": ",".join(f"{code}={at}" for code, at in facts.TOKENS.items()),
        "tempo_poll_s": 0.02,
    }
    return OrchestratorSettings(**(values | more))


def an_address() -> str:
    return virtual_address(bytes.fromhex(facts.MASTER_ID), secrets.token_bytes(6))


def a_wallet(**more: Any) -> WalletReady:
    values: dict[str, Any] = {
        "tenant_id": uuid4(),
        "wallet_id": uuid4(),
        "invoice_id": uuid4(),
        "mode": "ephemeral",
        "rail": "tempo",
        "chain_id": facts.CHAIN_ID,
        "address": an_address(),
        "memo": "0x" + secrets.token_hex(32),
        "accepted_assets": ("PATHUSD",),
        "due": Amount(amount_minor=1250, asset="USD"),
        "ttl_s": 3600,
        "watch_window_s": 60,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
        "decision": "tempo_first",
    }
    return WalletReady(**(values | more))


def destroying(wallet: WalletReady, **more: Any) -> EphemeralWalletDestroying:
    values: dict[str, Any] = {
        "tenant_id": wallet.tenant_id,
        "wallet_id": wallet.wallet_id,
        "invoice_id": wallet.invoice_id,
        "rail": "tempo",
        "chain_id": wallet.chain_id,
        "address": wallet.address,
        "guard": Guard(
            drained=True,
            watch_window_over=True,
            unknown_payments=0,
            open_disputes=0,
            open_refunds=0,
            legal_hold=False,
        ),
    }
    return EphemeralWalletDestroying(**(values | more))


def memo_of(wallet: WalletReady) -> bytes:
    assert wallet.memo is not None
    return bytes.fromhex(wallet.memo.removeprefix("0x"))


@dataclass(slots=True)
class Orchestrator:
    """The service, and one replica of its watcher, stepped by hand."""

    unit: ServiceUnderTest
    settings: OrchestratorSettings
    client: RpcClient
    tempo: Tempo
    watch: ChainWatch
    health: HealthRecorder

    async def sweep(self) -> list[Step]:
        """Until nothing is left to read."""
        steps = []
        while (step := await self.watch.step()) is not Step.IDLE:
            steps.append(step)
        return steps

    async def said_of(self, wallet: WalletReady | UUID) -> list[PaymentEvent]:
        """What was stated of a wallet's payments, in order."""
        wallet_id = wallet.wallet_id if isinstance(wallet, WalletReady) else wallet
        return [f for f in await self.unit.facts(PaymentEvent) if f.wallet_id == wallet_id]

    def another(self) -> ChainWatch:
        """A replica that knows nothing but the database."""
        return ChainWatch(self.unit.worker, self.tempo)


@asynccontextmanager
async def orchestrator(
    place: ServiceDatabase, settings: OrchestratorSettings
) -> AsyncIterator[Orchestrator]:
    async with (
        under_test(service, place) as unit,
        RpcClient(settings.tempo_rpc_url, timeout_s=5) as client,
    ):
        tempo = Tempo(client, settings)
        watch = ChainWatch(unit.worker, tempo)
        health = HealthRecorder(unit.worker, tempo.profile)
        yield Orchestrator(unit, settings, client, tempo, watch, health)
