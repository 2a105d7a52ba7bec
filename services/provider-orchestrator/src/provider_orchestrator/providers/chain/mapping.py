"""What a node of any EVM chain answers, understood; pure. Raises `Senseless` for nonsense."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provider_orchestrator.domain.chain import Block

# keccak-256 of Transfer(address,address,uint256), TransferWithMemo(address,address,uint256,bytes32)
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_WITH_MEMO = "0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0"
BALANCE_OF, SYMBOL, TOTAL_SUPPLY = "0x70a08231", "0x95d89b41", "0x18160ddd"


class Senseless(ValueError):
    """An answer that no node of such a chain gives."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log of a Transfer or TransferWithMemo."""

    token: bytes
    sender: bytes
    receiver: bytes
    units: int
    memo: bytes | None
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    index: int


def word(address: bytes) -> str:
    """An address as a topic or an argument: 32 bytes."""
    return "0x" + address.rjust(32, b"\0").hex()


def quantity(value: object) -> int:
    """A number as JSON-RPC writes it."""
    if not isinstance(value, str) or not value.startswith("0x"):
        message = f"{str(value)[:80]!r} is not a quantity"
        raise Senseless(message)
    return int(value, 16)


def data(value: object, length: int) -> bytes:
    """Bytes of a known length as JSON-RPC writes them."""
    if not isinstance(value, str) or not value.startswith("0x"):
        message = f"{str(value)[:80]!r} is not data"
        raise Senseless(message)
    raw = bytes.fromhex(value[2:])
    if len(raw) != length:
        message = f"{str(value)[:80]!r} has not {length} bytes"
        raise Senseless(message)
    return raw


def block(answer: object) -> Block | None:
    """A block header; None where there is no such block."""
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise Senseless("a block is an object")
    at = datetime.fromtimestamp(quantity(answer.get("timestamp")), UTC)
    return Block(quantity(answer.get("number")), data(answer.get("hash"), 32), at)


def logs(answer: object, is_token: Callable[[bytes], bool]) -> list[Log]:
    """Transfers among logs, in the order of the chain; others are left out.

    So are those of contracts that are no token: anyone can write a log that looks like a transfer.
    """
    if not isinstance(answer, list):
        raise Senseless("logs come in a list")
    found = [log for raw in answer if (log := _log(raw, is_token)) is not None]
    return sorted(found, key=lambda log: (log.block_number, log.index))


def _log(raw: Any, is_token: Callable[[bytes], bool]) -> Log | None:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("topics"), list):
        raise Senseless("a log is an object with topics")
    topics = raw["topics"]
    token = data(raw.get("address"), 20)
    arity = {TRANSFER: 3, TRANSFER_WITH_MEMO: 4}.get(topics[0] if topics else "")
    if arity != len(topics) or not is_token(token) or raw.get("removed") is True:
        return None
    return Log(
        token=token,
        sender=data(topics[1], 32)[12:],
        receiver=data(topics[2], 32)[12:],
        units=int.from_bytes(data(raw.get("data"), 32), "big"),
        memo=data(topics[3], 32) if arity == 4 else None,
        block_number=quantity(raw.get("blockNumber")),
        block_hash=data(raw.get("blockHash"), 32),
        transaction_hash=data(raw.get("transactionHash"), 32),
        index=quantity(raw.get("logIndex")),
    )


def text(answer: object) -> str | None:
    """A string as a contract returns it; None where it is none."""
    if not isinstance(answer, str) or len(answer) > 2_000:
        return None
    try:
        raw = bytes.fromhex(answer.removeprefix("0x"))
    except ValueError:
        return None
    length = int.from_bytes(raw[32:64], "big")
    if len(raw) < 64 or length > len(raw) - 64:
        return None
    return raw[64 : 64 + length].decode("utf-8", "replace")
