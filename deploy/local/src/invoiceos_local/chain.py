"""The funded accounts of the local Tempo chain and a payer, for demos and tests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pytempo import Call, TempoTransaction
from pytempo.contracts import TIP20

from invoiceos_local.tempo_facts import MASTER_SALT, MNEMONIC, TOKENS, VIRTUAL_MARK

_GAS_PAYMENT = 1_000_000
_BALANCE_OF = bytes(keccak(text="balanceOf(address)")[:4])
_RECEIPT_POLL_SECONDS = 0.01
_RECEIPT_TIMEOUT_SECONDS = 30


class ChainError(Exception):
    """The node refused a call, or a transaction failed."""


@dataclass(frozen=True)
class DevAccount:
    """One of the funded accounts of the mnemonic."""

    index: int
    address: str
    private_key: str = field(repr=False)


def dev_account(index: int) -> DevAccount:
    """The account at `m/44'/60'/0'/0/<index>`; the chain funds the first ten."""
    Account.enable_unaudited_hdwallet_features()
    account = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return DevAccount(index, str(account.address), "0x" + account.key.hex().removeprefix("0x"))


def master_id(master: str, salt: bytes = MASTER_SALT) -> bytes:
    """The four bytes that begin every virtual address of a master."""
    digest: bytes = keccak(bytes.fromhex(master.removeprefix("0x")) + salt)
    if digest[:4] != bytes(4):
        raise ValueError("the salt is no proof of work for this master")
    return digest[4:8]


def virtual_address(master: bytes, tag: bytes) -> str:
    """The address of a six-byte tag under a master id."""
    if len(tag) != 6:
        raise ValueError("a tag has six bytes")
    return str(to_checksum_address(master + VIRTUAL_MARK + tag))


@dataclass(frozen=True)
class Receipt:
    """What became of a transaction."""

    transaction_hash: str
    block_number: int
    succeeded: bool
    gas_used: int
    logs: Sequence[Mapping[str, Any]]


class Node:
    """JSON-RPC to one node; usable from one event loop."""

    def __init__(self, rpc_url: str) -> None:
        self._url = rpc_url
        self._session: aiohttp.ClientSession | None = None
        self._constants: tuple[int, int] | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *parameters: object) -> Any:
        if self._session is None:
            raise ChainError("use the node inside `async with`")
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        async with self._session.post(self._url, json=request) as response:
            answer = await response.json()
        if "error" in answer:
            raise ChainError(f"{method}: {answer['error'].get('message', answer['error'])}")
        return answer["result"]

    async def submit(
        self,
        private_key: str,
        calls: Sequence[Call],
        *,
        gas_limit: int,
        fee_token: str | None = None,
    ) -> str:
        """Signs and sends; returns the hash.

        Each transaction takes a nonce key of its own, so that any number of senders may use one
        account at the same moment and none waits for another.
        """
        chain_id, gas_price = await self._chain_constants()
        transaction = TempoTransaction.create(
            chain_id=chain_id,
            gas_limit=gas_limit,
            max_fee_per_gas=gas_price * 2,
            nonce=0,
            nonce_key=secrets.randbits(192) | 1,
            fee_token=fee_token,
            calls=tuple(calls),
        )
        raw = "0x" + transaction.sign(private_key).encode().hex()
        return str(await self.call("eth_sendRawTransaction", raw))

    async def _chain_constants(self) -> tuple[int, int]:
        if self._constants is None:
            chain_id = int(await self.call("eth_chainId"), 16)
            self._constants = chain_id, int(await self.call("eth_gasPrice"), 16)
        return self._constants

    async def receipt(self, transaction_hash: str) -> Receipt:
        """Waits until the transaction is in a block."""
        async with asyncio.timeout(_RECEIPT_TIMEOUT_SECONDS):
            while True:
                found = await self.call("eth_getTransactionReceipt", transaction_hash)
                if found is not None:
                    break
                await asyncio.sleep(_RECEIPT_POLL_SECONDS)
        return Receipt(
            transaction_hash,
            int(found["blockNumber"], 16),
            int(found["status"], 16) == 1,
            int(found["gasUsed"], 16),
            found["logs"],
        )

    async def balance(self, token: str, address: str) -> int:
        """The balance in the token's smallest units."""
        data = _BALANCE_OF + _word(address)
        return int(await self.call("eth_call", {"to": token, "data": _hex(data)}, "latest"), 16)


async def pay(
    rpc_url: str,
    payer: int | str,
    token: str,
    to_address: str,
    amount_units: int,
    memo: bytes | None = None,
) -> Receipt:
    """Transfers `amount_units` (smallest units of the token) and waits for the block.

    `payer` is the index of a development account or a private key; `token` is a name of TOKENS
    or an address.
    """
    async with Node(rpc_url) as node:
        return await pay_through(node, payer, token, to_address, amount_units, memo)


async def pay_through(
    node: Node,
    payer: int | str,
    token: str,
    to_address: str,
    amount_units: int,
    memo: bytes | None = None,
) -> Receipt:
    """As `pay`, over a connection that is already open."""
    key = dev_account(payer).private_key if isinstance(payer, int) else payer
    contract = TIP20(TOKENS.get(token, token))
    call = (
        contract.transfer(to=to_address, amount=amount_units)
        if memo is None
        else contract.transfer_with_memo(to=to_address, amount=amount_units, memo=memo)
    )
    receipt = await node.receipt(await node.submit(key, [call], gas_limit=_GAS_PAYMENT))
    if not receipt.succeeded:
        raise ChainError(f"the payment {receipt.transaction_hash} was reverted")
    return receipt


def _word(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x").rjust(64, "0"))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
