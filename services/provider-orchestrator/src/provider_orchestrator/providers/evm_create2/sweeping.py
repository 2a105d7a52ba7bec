"""The factory's `flush` on the wire: what is signed for it, what a node says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_utils.address import to_checksum_address

from provider_orchestrator.domain.chain import Block
from provider_orchestrator.domain.sweeps import Landed, Signed, Sweep
from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.client import Call, RpcClient
from provider_orchestrator.providers.chain.reader import ChainReader, Moved, header, read
from provider_orchestrator.settings import EvmChain

FLUSH = bytes.fromhex("6fa71407")
SWEPT = "0xb54a956efa2885f605a691ebaa631db09ff8be97e46f62d97806ce1e88940e29"
GWEI = 10**9
GAS_HEADROOM_PCT = 130
"""Of what the node thinks it takes: an address may have been emptied or filled meanwhile."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers, in wei for a unit of gas."""

    max_fee_wei: int
    tip_wei: int


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever may sweep; the key is never shown, and can move money to the treasury alone."""

    address: bytes
    private_key: str = field(repr=False)

    @classmethod
    def of(cls, private_key: str) -> "Operator":
        """From its key."""
        return cls(bytes.fromhex(Account.from_key(private_key).address[2:]), private_key)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the chain has of a sweep, up to its last final block."""

    landed: Landed | None
    in_block: bool
    """It is in a block that is not final yet."""
    nonce_used: bool
    """Something with its nonce is in a final block."""


def flush_data(salts: Sequence[bytes], token: bytes) -> bytes:
    """The call of `flush(bytes32[],address)`."""
    return FLUSH + encode(["bytes32[]", "address"], [list(salts), token])


class Factory:
    """Questions and transactions to the factory of one chain."""

    def __init__(self, client: RpcClient, reader: ChainReader, chain: EvmChain) -> None:
        """Nothing is asked yet."""
        self._client = client
        self._reader = reader
        self._chain = chain

    async def fees(self) -> Fees | None:
        """What would be offered now; None where gas is dearer than may be bought."""
        head, tip = await self._client.ask(header("latest"), Call("eth_maxPriorityFeePerGas"))
        base = read(lambda one: mapping.quantity(one["baseFeePerGas"]), head)
        tip_wei = read(mapping.quantity, tip)
        if base + tip_wei > self._chain.fee_gwei_max * GWEI:
            return None
        return Fees(min(2 * base + tip_wei, self._chain.fee_gwei_max * GWEI), tip_wei)

    async def nonce(self, operator: Operator) -> int:
        """The operator's next one."""
        asked = Call("eth_getTransactionCount", ("0x" + operator.address.hex(), "latest"))
        (answer,) = await self._client.ask(asked)
        return read(mapping.quantity, answer)

    async def gas(self, operator: Operator, data: bytes) -> int:
        """How much a sweep may take; raises `BadAnswer` where the node finds it reverts."""
        question = {
            "from": "0x" + operator.address.hex(),
            "to": self._chain.factory,
            "data": "0x" + data.hex(),
        }
        (answer,) = await self._client.ask(Call("eth_estimateGas", (question,)))
        return read(mapping.quantity, answer) * GAS_HEADROOM_PCT // 100

    def sign(
        self,
        operator: Operator,
        sweep: Sweep,
        salts: Sequence[bytes],
        terms: tuple[Fees, int],
        now: datetime,
    ) -> Signed:
        """The transaction of a sweep for these fees and this much gas."""
        fees, gas = terms
        made = Account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain.chain_id,
                "nonce": sweep.nonce,
                "to": to_checksum_address(self._chain.factory_address),
                "value": 0,
                "data": flush_data(salts, sweep.token),
                "gas": gas,
                "maxFeePerGas": fees.max_fee_wei,
                "maxPriorityFeePerGas": fees.tip_wei,
            },
            operator.private_key,
        )
        return Signed(
            bytes(made.hash), bytes(made.raw_transaction), fees.max_fee_wei, fees.tip_wei, gas, now
        )

    async def send(self, signed: Signed) -> None:
        """Send bytes that are stored; raises a `ChainFault`, which says nothing of the outcome."""
        await self._client.ask(Call("eth_sendRawTransaction", ("0x" + signed.raw.hex(),)))

    async def standing(self, sweep: Sweep, signed: Sequence[Signed]) -> Standing:
        """What became of a sweep; raises `Moved` when the chain changed meanwhile."""
        glance = await self._reader.glance(None)
        last = glance.finalized
        if last is None:
            last = glance.head.number - self._reader.profile.confirmations
        last = max(0, last)
        names = ["0x" + one.transaction_hash.hex() for one in signed]
        operator = "0x" + sweep.operator.hex()
        before, count, *receipts, after = await self._client.ask(
            header(last),
            Call("eth_getTransactionCount", (operator, hex(last))),
            *[Call("eth_getTransactionReceipt", (name,)) for name in names],
            header(last),
        )
        final = read(mapping.block, before)
        if final is None or final != read(mapping.block, after):
            raise Moved
        found = next((one for one in receipts if one is not None), None)
        used = read(mapping.quantity, count) > sweep.nonce
        if found is None:
            return Standing(None, in_block=False, nonce_used=used)
        number = read(mapping.quantity, found.get("blockNumber"))
        if number > final.number:
            return Standing(None, in_block=True, nonce_used=False)
        block = (await self._reader.blocks([number])).get(number)
        return Standing(self._landed(found, block), in_block=True, nonce_used=used)

    def _landed(self, receipt: Mapping[str, Any], block: Block | None) -> Landed:
        block_hash = read(lambda one: mapping.data(one, 32), receipt.get("blockHash"))
        if block is None or block.hash != block_hash:
            raise Moved
        gas = read(mapping.quantity, receipt.get("gasUsed"))
        price = read(mapping.quantity, receipt.get("effectiveGasPrice"))
        return Landed(
            transaction_hash=read(lambda o: mapping.data(o, 32), receipt.get("transactionHash")),
            succeeded=read(mapping.quantity, receipt.get("status")) == 1,
            block_number=block.number,
            block_hash=block_hash,
            block_at=block.at,
            gas_used=gas,
            fee_wei=gas * price,
            swept=read(self._swept, receipt.get("logs")),
        )

    def _swept(self, logs: Any) -> dict[bytes, tuple[int, int]]:
        """What the factory says it moved: units and place of the log, by salt."""
        found: dict[bytes, tuple[int, int]] = {}
        for log in logs:
            ours = mapping.data(log["address"], 20) == self._chain.factory_address
            if ours and log["topics"][0] == SWEPT:
                units = int.from_bytes(mapping.data(log["data"], 64)[32:], "big")
                place = mapping.quantity(log["logIndex"])
                found[mapping.data(log["topics"][1], 32)] = (units, place)
        return found
