"""From what a node answers to transfers; pure. Raises `Senseless` for what makes no sense."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provider_orchestrator.domain.chain import Block
from provider_orchestrator.domain.transfers import Transfer

# keccak-256 of Transfer(address,address,uint256), TransferWithMemo(address,address,uint256,bytes32)
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_WITH_MEMO = "0x57bc7354aa85aed339e000bccffabbc529466af35f0772c8f8ee1145927de7f0"
BALANCE_OF, SYMBOL, TOTAL_SUPPLY = "0x70a08231", "0x95d89b41", "0x18160ddd"
VIRTUAL_MARK = b"\xfd" * 10
TOKEN_PREFIX = bytes.fromhex("20c000000000000000000000")
"""How the address of every TIP-20 token begins; anyone can write a log elsewhere, only the protocol
writes one here, and only it moves money on from a virtual address."""


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


def logs(answer: object) -> list[Log]:
    """Transfers among logs, in the order of the chain; others are left out."""
    if not isinstance(answer, list):
        raise Senseless("logs come in a list")
    found = [log for raw in answer if (log := _log(raw)) is not None]
    return sorted(found, key=lambda log: (log.block_number, log.index))


def _log(raw: Any) -> Log | None:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("topics"), list):
        raise Senseless("a log is an object with topics")
    topics = raw["topics"]
    token = data(raw.get("address"), 20)
    arity = {TRANSFER: 3, TRANSFER_WITH_MEMO: 4}.get(topics[0] if topics else "")
    if arity != len(topics) or not token.startswith(TOKEN_PREFIX) or raw.get("removed") is True:
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


def is_virtual(address: bytes) -> bool:
    """Whether an address has the form of a virtual one."""
    return address[4:14] == VIRTUAL_MARK


def hops(found: Iterable[Log], *, guard: bytes | None, master_id: bytes) -> list[Log]:
    """The last hops of deposits: from a virtual address to the master, or to the guard.

    Of those to the guard only ours: it keeps everybody's blocked transfers.
    """
    return [
        log
        for log in found
        if log.memo is None
        and log.units > 0
        and is_virtual(log.sender)
        and (log.receiver != guard or log.sender.startswith(master_id))
    ]


@dataclass(frozen=True, slots=True)
class _Origin:
    payer: bytes | None
    memo: bytes | None


def origin_of(hop: Log, companions: Sequence[Log]) -> _Origin:
    """Who paid and with which memo: the nearest transfer to the address before the hop.

    `companions` are the logs of the hop's transaction whose receiver is the hop's sender, in order.
    """
    before = [
        log
        for log in companions
        if log.index < hop.index and log.token == hop.token and log.units == hop.units
    ]
    paid = next((log for log in reversed(before) if log.memo is None), None)
    if paid is None:
        return _Origin(None, None)
    memo = next(
        (log.memo for log in before if log.memo is not None and log.index > paid.index), None
    )
    return _Origin(paid.sender, memo)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is needed beside the hops to understand them."""

    chain_id: int
    master: bytes
    guard: bytes | None
    assets: Mapping[bytes, str]
    """Asset code by token, for every token among the hops."""
    listed: frozenset[bytes]
    times: Mapping[bytes, datetime]
    """Time by block hash."""
    companions: Sequence[Log]


def transfers(found: Sequence[Log], around: Surroundings) -> list[Transfer]:
    """Hops as transfers. What the master sends to itself over a virtual address is none."""
    by_place: dict[tuple[bytes, bytes, bytes], list[Log]] = {}
    for log in around.companions:
        place = (log.block_hash, log.transaction_hash, log.receiver)
        by_place.setdefault(place, []).append(log)
    counted: dict[tuple[bytes, bytes, bytes], int] = {}
    made = []
    for hop in found:
        place = (hop.block_hash, hop.transaction_hash, hop.sender)
        counted[place] = ordinal = counted.get(place, -1) + 1
        origin = origin_of(hop, by_place.get(place, ()))
        if origin.payer == around.master:
            continue
        made.append(_transfer(hop, ordinal, origin, around))
    return made


def _transfer(hop: Log, ordinal: int, origin: _Origin, around: Surroundings) -> Transfer:
    return Transfer(
        chain_id=around.chain_id,
        block_number=hop.block_number,
        block_hash=hop.block_hash,
        block_at=around.times[hop.block_hash],
        transaction_hash=hop.transaction_hash,
        log_index=hop.index,
        ordinal=ordinal,
        address=hop.sender,
        token=hop.token,
        asset=around.assets[hop.token],
        listed=hop.token in around.listed,
        units=hop.units,
        payer=origin.payer,
        memo=origin.memo,
        blocked=hop.receiver == around.guard,
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
