"""Deposit addresses: the promises of every adapter, on a real chain, and what is their own."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from evm_kit import address_of, evm_chain, flush, mint, send, transfer_data
from orchestrator_kit import settings_for

from invoiceos_contracts.base import HealthState
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from invoiceos_local import evm_facts as facts
from invoiceos_local.anvil_node import call
from invoiceos_local.chain import Node
from invoiceos_local.evm import Evm
from provider_orchestrator.app import service
from provider_orchestrator.domain.adapters import Adapter, Answer, Kind, Order, Status
from provider_orchestrator.domain.health import Key
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.providers.catalogue import declared
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.chain.mapping import TRANSFER, word
from provider_orchestrator.providers.evm_create2.adapter import profile_of
from provider_orchestrator.providers.evm_create2.deposits import DepositAddresses, DepositChain
from provider_orchestrator.store.providers import select_health
from provider_orchestrator.workers.payments import probe_due
from testkit.databases import ServiceDatabase
from testkit.service import under_test

from .conformance import Promises
from .stage import Exchanged, Stage, Wire, replaced

READS = {"eth_chainId", "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs", "eth_call"}


class DepositStage(Stage):
    """A payer who pays to an address, and an operator who fetches it."""

    provider, rail, asset, method = "evm-create2", "evm-create2", "USDC", "stablecoin"
    takes_a_fee = False

    def __init__(self, chain: Evm, wire: Wire) -> None:
        self.wire = wire
        self.url = chain.rpc_url
        self.salts: dict[str, bytes] = {}
        self.clients: list[RpcClient] = []
        self.adapter = self.make()

    def make(self, **settings: Any) -> Adapter:
        url = settings.pop("url", self.wire.url)
        chain = evm_chain(url, **settings)
        self.clients.append(RpcClient(url, timeout_s=5))
        one = DepositChain(self.clients[-1], profile_of(chain), chain.factory_address)
        return DepositAddresses([one])

    async def close(self) -> None:
        for client in self.clients:
            await client.__aexit__(None, None, None)

    def now(self) -> datetime:
        """The chain's own time: blocks that follow are later, whatever our clock says."""
        head = call(self.url, "eth_getBlockByNumber", "latest", False)
        return datetime.fromtimestamp(int(head["timestamp"], 16), UTC)

    def only_reads(self, one: Exchanged) -> bool:
        return {call["method"] for call in json.loads(one.body)} <= READS

    def order(self, kind: Kind = Kind.COLLECT, **more: Any) -> Order:
        salt = secrets.token_bytes(32)
        self.salts[address_of(salt).lower()] = salt
        values = {"destination": {"address": address_of(salt)}, "created_at": self.now()}
        return super().order(kind, **(values | more))

    async def pay(self, answer: Answer) -> None:
        """All that is still missing, fetched to the treasury at once."""
        assert answer.action is not None
        assert answer.action.address is not None
        address = answer.action.address.lower()
        async with Node(self.url) as node:
            await mint(node, 12_345)
            await send(node, 1, transfer_data(address, 12_345))
            await flush(node, [self.salts[address]])


@pytest.fixture
async def deposits(evm: Evm) -> AsyncIterator[DepositStage]:
    async with Wire(evm.rpc_url) as wire:
        opened = DepositStage(evm, wire)
        yield opened
        await opened.close()


class TestDepositAddresses(Promises):
    @pytest.fixture
    def stage(self, deposits: DepositStage) -> DepositStage:
        return deposits

    def captured(self, stage: Stage, order: Order, answer: Answer) -> int:
        """What the chain itself says the address ever got."""
        assert isinstance(stage, DepositStage)
        where = {
            "address": facts.USDC,
            "fromBlock": "0x0",
            "topics": [TRANSFER, None, word(bytes.fromhex(order.destination["address"][2:]))],
        }
        return sum(int(log["data"], 16) for log in call(stage.url, "eth_getLogs", where))

    async def test_less_than_was_asked_for_is_told_and_no_success(self, stage: Stage) -> None:
        order = stage.order(amount_minor=20_000)
        await stage.pay(await stage.adapter.send(order))
        part = await stage.adapter.find(order)
        assert (part.status, part.amount_minor) == (Status.REQUIRES_ACTION, 12_345)
        await stage.pay(part)
        whole = await stage.adapter.find(order)
        assert (whole.status, whole.amount_minor) == (Status.SUCCEEDED, 24_690)

    async def test_money_counts_once_its_block_is_final(self, evm: Evm, stage: Stage) -> None:
        careful = stage.make(finality=3)
        order = stage.order()
        await stage.pay(await stage.adapter.send(order))
        assert (await careful.find(order)).status is Status.REQUIRES_ACTION
        async with Node(evm.rpc_url) as node:
            await node.call("anvil_mine", "0x3")
        assert (await careful.find(order)).status is Status.SUCCEEDED

    @pytest.mark.parametrize(
        ("changes", "cause"),
        [
            ({"kind": Kind.PAYOUT}, "not_supported"),
            ({"kind": Kind.REFUND}, "not_supported"),
            ({"asset": "USD"}, "asset_not_supported"),
            ({"rail": "elsewhere"}, "no_such_chain"),
            ({"destination": {}}, "no_deposit_address"),
        ],
    )
    async def test_what_it_cannot_do_is_refused_before_anyone_is_asked(
        self, stage: Stage, changes: dict[str, Any], cause: str
    ) -> None:
        order = replace(stage.order(), **changes)
        stage.sent()
        answer = await stage.adapter.send(order)
        assert (answer.outcome, answer.status, answer.cause) == (
            Outcome.OUR_FAULT,
            Status.FAILED,
            cause,
        )
        assert (await stage.adapter.find(order)).cannot_happen
        assert stage.sent() == []

    async def test_too_many_questions_are_told_as_such(self, stage: Stage) -> None:
        stage.wire.distortion = replaced(429, b"")
        assert (await stage.adapter.probe(stage.rail)).outcome is Outcome.THROTTLED
        assert (await stage.adapter.find(stage.order())).outcome is Outcome.THROTTLED

    async def test_a_chain_without_the_factory_is_not_well(self, stage: Stage) -> None:
        elsewhere = stage.make(factory="0x" + "11" * 20)
        answer = await elsewhere.probe("evm-create2")
        assert answer.outcome is Outcome.UNKNOWN


async def test_the_folder_is_found_by_listing_with_what_it_can_do(
    session: aiohttp.ClientSession, evm: Evm, configured: Callable[..., Any]
) -> None:
    assert "evm-create2" not in adapters(session)
    chain = configured(evm_chain(evm.rpc_url, rail="base"))
    assert adapters(session)["evm-create2"].name == "evm-create2"
    (can,) = [
        one
        for one in declared(settings_for("http://127.0.0.1:1", evm_chains=(chain,)))
        if one.provider == "evm-create2"
    ]
    assert (can.rail, can.by_wallet, "USD" in can.assets) == ("base", True, True)


async def test_its_probes_change_the_health_of_its_rail(
    evm: Evm,
    place: ServiceDatabase,
    configured: Callable[..., Any],
    deposits: DepositStage,
) -> None:
    """Five that find nobody open the circuit; those that find somebody close it again."""
    chain = configured(evm_chain(evm.rpc_url))
    settings = settings_for("http://127.0.0.1:1", evm_chains=(chain,))
    can = [one for one in declared(settings) if one.provider == "evm-create2"]
    there, gone = deposits.make(), deposits.make(url="http://127.0.0.1:1")
    async with under_test(service, place) as unit:

        async def probed(adapter: Adapter, times: int) -> None:
            for _ in range(times):
                await unit.worker.pool.execute(
                    "update provider_health set observed_at = observed_at - interval '2 minutes',"
                    " open_until = open_until - interval '10 minutes'"
                )
                assert await probe_due(unit.worker, {"evm-create2": adapter}, can) == 1

        await probed(gone, 5)
        await probed(there, 5)
        said = await unit.facts(ProviderHealthChanged)
        assert [(fact.provider, fact.rail, str(fact.new)) for fact in said] == [
            ("evm-create2", "evm-create2", "open"),
            ("evm-create2", "evm-create2", "half_open"),
            ("evm-create2", "evm-create2", "closed"),
        ]
        async with unit.worker.transaction() as tx:
            health = await select_health(tx)
        assert health[Key("evm-create2", "evm-create2")].state is HealthState.CLOSED
