"""A chain by Ethereum's rules, deposit addresses on it, and one replica of their watcher."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from orchestrator_kit import a_wallet, settings_for

from invoiceos_contracts.payment_v1 import PaymentEvent
from invoiceos_contracts.wallet_v1 import WalletReady
from invoiceos_local import evm_facts as facts
from invoiceos_local.chain import Node, dev_account
from provider_orchestrator.app import service
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.chain.reader import ChainReader
from provider_orchestrator.providers.evm_create2.adapter import profile_of
from provider_orchestrator.settings import EvmChain, OrchestratorSettings
from provider_orchestrator.workers import ChainWatch, Step
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

PAYER_INDEX = 1
_PROXY = (bytes.fromhex("602d3d8160093d39f3363d3d373d3d3d363d73"), "5af43d82803e903d91602b57fd5bf3")


def evm_chain(rpc_url: str, **more: Any) -> EvmChain:
    values: dict[str, Any] = {
        "chain_id": facts.CHAIN_ID,
        "rpc_url": rpc_url,
        "factory": facts.FACTORY,
        "tokens": dict(facts.TOKENS),
        "finality": 0,
        "poll_s": 0.02,
        "dust_minor": 100,
        "sweep_wait_s": 0,
    }
    return EvmChain(**(values | more))


def address_of(salt: bytes) -> str:
    """Computed here once more, beside wallet-factory's own way."""
    code = _PROXY[0] + bytes.fromhex(facts.IMPLEMENTATION[2:]) + bytes.fromhex(_PROXY[1])
    factory = bytes.fromhex(facts.FACTORY[2:])
    return str(to_checksum_address(keccak(b"\xff" + factory + salt + keccak(code))[12:]))


def a_deposit_wallet(**more: Any) -> WalletReady:
    salt = secrets.token_bytes(32)
    values: dict[str, Any] = {
        "rail": "evm-create2",
        "chain_id": facts.CHAIN_ID,
        "address": address_of(salt),
        "accepted_assets": ("USDC",),
        "salt": "0x" + salt.hex(),
    }
    return a_wallet(**(values | more))


def _calldata(signature: str, kinds: list[str], values: list[Any]) -> str:
    return "0x" + (keccak(text=signature)[:4] + encode(kinds, values)).hex()


async def send(node: Node, sender: int, data: str, to: str = facts.USDC) -> dict[str, Any]:
    """A transaction of an account whose key anvil holds; its receipt, where blocks come at once."""
    transaction = {"from": dev_account(sender).address, "to": to, "data": data, "gas": hex(10**6)}
    sent = await node.call("eth_sendTransaction", transaction)
    receipt = await node.receipt(sent)
    assert receipt.succeeded
    found: dict[str, Any] = await node.call("eth_getTransactionReceipt", sent)
    return found


async def mint(node: Node, units: int) -> None:
    """The payer has so much more."""
    payer = dev_account(PAYER_INDEX).address
    await send(
        node,
        PAYER_INDEX,
        _calldata("mint(address,uint256)", ["address", "uint256"], [payer, units]),
    )


def transfer_data(to: str, units: int) -> str:
    return _calldata("transfer(address,uint256)", ["address", "uint256"], [to, units])


async def deposit(rpc_url: str, wallet: WalletReady, units: int) -> dict[str, Any]:
    """The payer pays into a wallet."""
    async with Node(rpc_url) as node:
        await mint(node, units)
        return await send(node, PAYER_INDEX, transfer_data(wallet.address, units))


async def flush(node: Node, salts: Sequence[bytes]) -> None:
    """The operator fetches what lies at these addresses to the treasury."""
    data = _calldata("flush(bytes32[],address)", ["bytes32[]", "address"], [salts, facts.USDC])
    await send(node, facts.OPERATOR_INDEX, data, facts.FACTORY)


async def freeze(rpc_url: str, address: str, frozen: bool) -> None:
    data = _calldata("freeze(address,bool)", ["address", "bool"], [address, frozen])
    async with Node(rpc_url) as node:
        await send(node, PAYER_INDEX, data)


async def held(rpc_url: str, address: str) -> int:
    async with Node(rpc_url) as node:
        return await node.balance(facts.USDC, address)


@dataclass(slots=True)
class EvmOrchestrator:
    """The service, and one replica of the watcher of one EVM chain, stepped by hand."""

    unit: ServiceUnderTest
    settings: OrchestratorSettings
    chain: EvmChain
    reader: ChainReader
    watch: ChainWatch

    @property
    def url(self) -> str:
        return self.chain.rpc_url

    async def sweep(self) -> list[Step]:
        """Until nothing is left to read."""
        steps: list[Step] = []
        while (step := await self.watch.step()) is not Step.IDLE:
            steps.append(step)
        return steps

    async def said_of(self, wallet: WalletReady) -> list[PaymentEvent]:
        facts_ = await self.unit.facts(PaymentEvent)
        return [fact for fact in facts_ if fact.wallet_id == wallet.wallet_id]

    def another(self) -> ChainWatch:
        """A replica that knows nothing but the database."""
        return ChainWatch(self.unit.worker, self.reader)


@asynccontextmanager
async def evm_orchestrator(
    place: ServiceDatabase, chain: EvmChain
) -> AsyncIterator[EvmOrchestrator]:
    settings = settings_for("http://127.0.0.1:1", evm_chains=(chain,))
    async with (
        under_test(service, place) as unit,
        RpcClient(chain.rpc_url, timeout_s=5) as client,
    ):
        reader = ChainReader(client, profile_of(chain))
        yield EvmOrchestrator(unit, settings, chain, reader, ChainWatch(unit.worker, reader))


def amounts(said: Sequence[PaymentEvent]) -> list[int]:
    return [fact.amount.amount_minor for fact in said]
