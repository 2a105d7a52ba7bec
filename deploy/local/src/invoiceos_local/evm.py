"""A local chain by Ethereum's rules: anvil, a token, and the factory of deposit addresses."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from invoiceos_local import evm_facts as facts
from invoiceos_local.anvil_node import AnvilNode, call, wait_for
from invoiceos_local.evm_contracts.compile import COMPILED

_GAS = 5_000_000
_FINALITY_EPOCH = "4"
"""Slots of an epoch: the `finalized` block trails the head by two of them."""


@cache
def contract(name: str) -> dict[str, Any]:
    """Creation code, code and interface of one of our contracts."""
    found: dict[str, Any] = json.loads(COMPILED.read_text())[name]
    return found


class Evm(AnvilNode):
    """A chain by Ethereum's rules, on which deposit addresses can be swept."""

    NAME = "evm"
    TITLE = "The EVM chain"
    MODE = ("--chain-id", str(facts.CHAIN_ID), "--slots-in-an-epoch", _FINALITY_EPOCH)

    def prepare(self) -> None:
        deploy_contracts(self.rpc_url)


def deploy_contracts(rpc_url: str) -> None:
    """Makes token and factory where the facts say they are; anvil holds the deployer's key."""
    if _has_code(rpc_url, facts.FACTORY):
        return
    _create(rpc_url, facts.USDC, code_of("dev_token", ["string"], ["USDC"]))
    _create(rpc_url, facts.FACTORY, factory_code(facts.TREASURY_ADDRESS, facts.OPERATOR_ADDRESS))


def deposit(rpc_url: str, to: str, units: int, payer: str = facts.PAYER_ADDRESS) -> str:
    """Makes play money for a payer and has it sent to an address; the transaction's hash."""
    _send(rpc_url, payer, "mint(address,uint256)", payer, units)
    return _send(rpc_url, payer, "transfer(address,uint256)", to, units)


def _send(rpc_url: str, sender: str, method: str, address: str, units: int) -> str:
    data = keccak(text=method)[:4] + encode(["address", "uint256"], [address, units])
    transaction = {"from": sender, "to": facts.USDC, "gas": hex(_GAS), "data": "0x" + data.hex()}
    sent = str(call(rpc_url, "eth_sendTransaction", transaction))
    wait_for(lambda: _succeeded(rpc_url, sent), f"The transaction {sent}")
    return sent


def _succeeded(rpc_url: str, transaction: str) -> bool:
    receipt = call(rpc_url, "eth_getTransactionReceipt", transaction)
    return receipt is not None and receipt["status"] == "0x1"


def factory_code(treasury: str, operator: str) -> bytes:
    """Creation code of a factory that sweeps to this treasury, by this operator or the treasury."""
    wallet = bytes.fromhex(contract("deposit_wallet")["bytecode"].removeprefix("0x"))
    return code_of("deposit_factory", ["address", "address", "bytes"], [treasury, operator, wallet])


def code_of(name: str, kinds: list[str], values: list[Any]) -> bytes:
    """Creation code of a contract with the arguments of its constructor."""
    return bytes.fromhex(contract(name)["bytecode"].removeprefix("0x")) + encode(kinds, values)


def _create(rpc_url: str, at: str, code: bytes) -> None:
    transaction = {"from": facts.DEPLOYER_ADDRESS, "gas": hex(_GAS), "data": "0x" + code.hex()}
    call(rpc_url, "eth_sendTransaction", transaction)
    wait_for(lambda: _has_code(rpc_url, at), f"The contract at {at}")


def _has_code(rpc_url: str, at: str) -> bool:
    return str(call(rpc_url, "eth_getCode", at, "latest")) not in {"0x", "0x0"}
