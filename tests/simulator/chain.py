"""A Tempo-like chain in memory, asked as a node is asked: JSON-RPC over HTTP, in virtual time.

What it answers has the shape of anvil's answers; test_world.py asks both the same questions. It
keeps the truth apart from what the node shows: a node may be away, late, behind, or still on the
losing branch of a reorganisation.
"""

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import ModuleType
from typing import Any, Protocol
from unittest import mock

import httpx

from provider_orchestrator.providers.chain import client as rpc_client
from provider_orchestrator.providers.chain.mapping import (
    BALANCE_OF,
    SYMBOL,
    TRANSFER,
    TRANSFER_WITH_MEMO,
    word,
)
from provider_orchestrator.providers.tempo.mapping import is_virtual

NONCE_MANAGER = "0x4e4f4e4345000000000000000000000000000000"
NONCE_USED = "0x42d98041765078b1557c6a9fe7e4a27230ca413fc141df57d89acd6cc68ffb45"
FEE_MANAGER = bytes.fromhex("feec000000000000000000000000000000000000")
FEE_TOKEN = bytes.fromhex("20c0000000000000000000000000000000000002")
FEE_UNITS = 3131
FUNDED_UNITS = 2**64 - 1
"""What the chain gives each funded account of every token at its beginning."""
STRANGER_MASTER_ID = bytes.fromhex("5d1f0e9b")
STRANGER_MASTER = bytes.fromhex("c0ffee00000000000000000000000000000000aa")
PAYER = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
"""Who pays when nobody else is named: the second account of the mnemonic."""
FOREIGN_TOKENS = {
    "BETAUSD": FEE_TOKEN,
    "MOON1": bytes.fromhex("20c00000000000000000000000000000000000d1"),
    "PATHUSD*": bytes.fromhex("20c00000000000000000000000000000000000d2"),
}
"""Tokens we do not take; the last calls itself what one of ours is called."""
RANGE_ERROR = "query exceeds the max block span of {0}"

REACHED = (
    "chain.reorganised",
    "chain.reorganised_shorter",
    "chain.payment_chased",
    "chain.payment_moved",
    "chain.payment_moved_back_later",
    "chain.payment_dropped",
    "chain.stalled",
    "chain.mined_reordered",
    "chain.node_away",
    "chain.node_behind",
    "chain.node_on_losing_branch",
    "chain.request_lost",
    "chain.answer_lost",
    "chain.answer_late",
    "chain.http_500",
    "chain.throttled",
    "chain.garbage",
    "chain.call_refused",
    "chain.call_unanswered",
    "chain.answers_shuffled",
    "chain.moved_within_batch",
    "chain.batch_split",
    "chain.range_refused",
    "chain.logs_beyond_head",
    "chain.stranger_paid",
)


class Node(Protocol):
    """The process that asks."""

    name: str
    alive: bool
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFaults:
    """Probabilities, all 0 by default. The first group is drawn at each block."""

    reorganised: float = 0.0
    reorganised_depth_max: int = 4
    chased: float = 0.0
    """Of each block with a payment to us: that it is among those replaced, a few blocks later."""
    shorter: float = 0.0
    """Of a reorganisation: that the new branch is shorter at first."""
    dropped: float = 0.0
    """Of each payment in a dropped block: that it never comes back."""
    later: float = 0.0
    """Of each payment in a dropped block: that it comes back only in a later block."""
    losing_branch: float = 0.0
    """Of a reorganisation: that the node goes on showing the old branch for a while."""
    stalled: float = 0.0
    stalled_s_max: float = 10.0
    reordered: float = 0.0
    """That the payments of a block stand in another order than they came."""
    strangers: float = 0.0
    """That somebody else pays somebody else, so that logs stand elsewhere."""
    away: float = 0.0
    away_s_max: float = 10.0
    behind: float = 0.0
    behind_s_max: float = 5.0
    behind_blocks_max: int = 5

    lost: float = 0.0
    """From here on drawn at each request: it never arrives, or its answer does not."""
    late: float = 0.0
    """The answer takes longer than anyone waits, or nearly."""
    http_500: float = 0.0
    throttled: float = 0.0
    garbage: float = 0.0
    call_refused: float = 0.0
    """One call of the batch is answered by an error."""
    call_unanswered: float = 0.0
    shuffled: float = 0.0
    """A batch may be answered in any order."""
    moved_within_batch: float = 0.0
    """Time passes between the calls of one batch: blocks come, or go."""
    split: float = 0.0
    """A gateway deals the calls of one batch to several nodes, some of them behind. The adapter
    cannot notice that, and misses money: not for runs that have to end well."""
    range_blocks_max: int = 0
    """Blocks one question for logs may span; 0 is no limit."""
    latency_s_max: float = 0.005


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment to one of our addresses that stands on the chain."""

    address: str
    asset: str
    """Code of a token that is taken, else a name of `FOREIGN_TOKENS`."""
    units: int
    transaction_hash: str
    block_number: int


@dataclass(frozen=True, slots=True)
class Move:
    """One transfer of a transaction."""

    token: bytes
    receiver: bytes
    units: int
    memo: bytes | None = None


@dataclass(slots=True)
class Transaction:
    """What a payer sent; it keeps its hash wherever it is mined."""

    hash: str
    payer: bytes
    moves: tuple[Move, ...]
    from_block: int = 0
    """It is mined in this block or after it."""
    reorganised: int = 0
    """How often a block that held it was dropped."""


@dataclass(frozen=True)
class Block:
    """A block with the logs of its transactions."""

    number: int
    hash: str
    parent: str
    timestamp: int
    transactions: tuple[Transaction, ...]
    masters: dict[bytes, bytes] = field(repr=False)

    @cached_property
    def logs(self) -> list[dict[str, Any]]:
        """Every log of the block, in order."""
        made: list[dict[str, Any]] = []
        for place, transaction in enumerate(self.transactions):
            for address, topics, value in _logs_of(transaction, self.masters):
                made.append(
                    {
                        "address": address,
                        "topics": topics,
                        "data": f"0x{value:064x}",
                        "blockHash": self.hash,
                        "blockNumber": hex(self.number),
                        "blockTimestamp": hex(self.timestamp),
                        "transactionHash": transaction.hash,
                        "transactionIndex": hex(place),
                        "logIndex": hex(len(made)),
                        "removed": False,
                    }
                )
        return made

    @cached_property
    def header(self) -> dict[str, Any]:
        """The block as a node describes it, without full transactions."""
        root, none = _digest("root", self.hash), "0x" + "00" * 32
        return {
            "hash": self.hash,
            "parentHash": self.parent,
            "number": hex(self.number),
            "sha3Uncles": _digest("no uncles"),
            "miner": "0x" + "00" * 20,
            "stateRoot": root,
            "transactionsRoot": root,
            "receiptsRoot": root,
            "logsBloom": "0x" + "00" * 256,
            "difficulty": "0x0",
            "gasLimit": "0x1c9c380",
            "gasUsed": hex(300_000 * len(self.transactions)),
            "extraData": "0x",
            "timestamp": hex(self.timestamp),
            "mixHash": root,
            "nonce": "0x" + "00" * 8,
            "baseFeePerGas": "0x4a817c800",
            "withdrawalsRoot": root,
            "blobGasUsed": "0x0",
            "excessBlobGas": "0x0",
            "parentBeaconBlockRoot": none,
            "requestsHash": root,
            "totalDifficulty": "0x0",
            "size": "0x303",
            "uncles": [],
            "withdrawals": [],
            "transactions": [transaction.hash for transaction in self.transactions],
            "mainBlockGeneralGasLimit": "0x1c9c380",
            "sharedGasLimit": "0x0",
            "timestampMillis": hex(self.timestamp * 1000),
            "timestampMillisPart": "0x0",
        }


class _Refused(Exception):
    """The node answers a call with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class SimChain:
    """The chain, its payers' side (`pay`), and one node that services ask (`transport`)."""

    def __init__(
        self,
        chooser: random.Random,
        now: Callable[[], datetime],
        facts: ModuleType,
        faults: ChainFaults = ChainFaults(),
        reached: Callable[[str], None] = lambda _: None,
        *,
        block_s: float = 0.5,
    ) -> None:
        """`facts` are those of `invoiceos_local.tempo_facts`."""
        self._chooser, self._now, self._reached = chooser, now, reached
        self.faults = faults
        self._block_s = block_s
        self.chain_id: int = facts.CHAIN_ID
        self._tokens = {code: _raw(at) for code, at in facts.TOKENS.items()} | FOREIGN_TOKENS
        self._our_id = bytes.fromhex(facts.MASTER_ID)
        self._masters = {
            self._our_id: _raw(facts.MASTER_ADDRESS),
            STRANGER_MASTER_ID: STRANGER_MASTER,
        }
        self._pending: list[Transaction] = []
        self._sent = self._branches = 0
        self._blocks: list[Block] = []
        self._losing: list[Block] = []
        self._losing_until = self._away_until = self._behind_until = self._stalled_until = -1.0
        self._behind = 0
        self._chase: tuple[int, int] | None = None
        """Where a reorganisation is to begin, and at which height it happens."""
        self.mine()

    # -- the payers' side ----------------------------------------------------------------------

    async def pay(
        self,
        address: str,
        asset: str,
        units: int,
        memo: bytes | None = None,
        *,
        payer: str = PAYER,
    ) -> str:
        """Send a transfer; it stands in the next block. The transaction's hash."""
        return self.pay_together([(address, asset, units, memo)], payer=payer)

    def pay_together(
        self, moves: Sequence[tuple[str, str, int, bytes | None]], *, payer: str = PAYER
    ) -> str:
        """Send one transaction of several transfers (address, asset, units, memo)."""
        self._sent += 1
        transaction = Transaction(
            _digest("transaction", self._sent),
            _raw(payer),
            tuple(
                Move(self._tokens[asset], _raw(address), units, memo)
                for address, asset, units, memo in moves
            ),
        )
        self._pending.append(transaction)
        return transaction.hash

    def truth(self) -> list[Paid]:
        """The payments to our addresses that stand on the chain, in its order."""
        codes = {token: code for code, token in self._tokens.items()}
        return [
            Paid(_hex(move.receiver), codes[move.token], move.units, one.hash, block.number)
            for block in self._blocks
            for one in block.transactions
            for move in self._to_us(one)
        ]

    def gifts(self) -> list[int]:
        """What strangers sent to the treasury itself, as it stands on the chain, in its order.

        It is nobody's payment, so by ADR 27 the reserve says that there is more than was booked.
        """
        treasury = self._masters[self._our_id]
        return [
            move.units
            for block in self._blocks
            for one in block.transactions
            for move in one.moves
            if move.receiver == treasury
        ]

    def _to_us(self, transaction: Transaction) -> list[Move]:
        """Those transfers of a transaction that pay us; what the master pays itself is none."""
        if transaction.payer == self._masters[self._our_id]:
            return []
        return [
            move
            for move in transaction.moves
            if is_virtual(move.receiver) and move.receiver.startswith(self._our_id) and move.units
        ]

    @property
    def waiting(self) -> int:
        """Payments that were sent and stand in no block."""
        return len(self._pending)

    @property
    def last_paid_number(self) -> int:
        """The newest block that holds a payment to us; 0 where none does.

        Only who has read this far, with nothing `waiting`, can know the `truth`.
        """
        return max((one.block_number for one in self.truth()), default=0)

    @property
    def head(self) -> Block:
        """The newest block."""
        return self._blocks[-1]

    # -- blocks --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make blocks for ever."""
        while True:
            await asyncio.sleep(self._block_s)
            self._tick()

    def _tick(self) -> None:
        faults, at = self.faults, _time()
        if at < self._stalled_until:
            return
        if self._happens(faults.stalled, "chain.stalled"):
            self._stalled_until = at + self._chooser.uniform(1, faults.stalled_s_max)
            return
        if at > self._away_until and self._happens(faults.away):
            self._away_until = at + self._chooser.uniform(0.5, faults.away_s_max)
        if at > self._behind_until and self._happens(faults.behind):
            self._behind = self._chooser.randint(1, faults.behind_blocks_max)
            self._behind_until = at + self._chooser.uniform(0.5, faults.behind_s_max)
        if len(self._blocks) > 2 and self._happens(faults.reorganised):
            self.reorganise(self._chooser.randint(1, faults.reorganised_depth_max))
            return
        if self._chase is not None and len(self._blocks) > self._chase[1]:
            (first, _), self._chase = self._chase, None
            self.reorganise(len(self._blocks) - first)
            return
        self._strangers()
        self.mine()
        chaseable = any(one.reorganised < 3 and self._to_us(one) for one in self.head.transactions)
        if chaseable and self._chase is None and self._happens(faults.chased):
            self._reached("chain.payment_chased")
            number = self.head.number
            self._chase = (
                number,
                number + self._chooser.randint(0, faults.reorganised_depth_max - 1),
            )

    def mine(self, blocks: int = 1) -> None:
        """Make blocks; the first holds what is due."""
        for _ in range(blocks):
            number = len(self._blocks)
            due = [one for one in self._pending if one.from_block <= number]
            self._pending = [one for one in self._pending if one.from_block > number]
            if len(due) > 1 and self._happens(self.faults.reordered, "chain.mined_reordered"):
                self._chooser.shuffle(due)
            parent = self._blocks[-1].hash if self._blocks else "0x" + "00" * 32
            earliest = self._blocks[-1].timestamp if self._blocks else 0
            timestamp = max(earliest, int(self._now().timestamp()))
            names = ",".join(one.hash for one in due)
            block_hash = _digest("block", number, parent, self._branches, timestamp, names)
            self._blocks.append(
                Block(number, block_hash, parent, timestamp, tuple(due), self._masters)
            )
            for one in due:
                if one.reorganised:
                    self._reached("chain.payment_moved")

    def reorganise(self, depth: int) -> None:
        """Replace the last blocks; what stood in them comes again elsewhere, later or never."""
        depth = min(depth, len(self._blocks) - 1)
        old = list(self._blocks)
        self._branches += 1
        del self._blocks[-depth:]
        grown = depth
        if depth > 1 and self._happens(self.faults.shorter, "chain.reorganised_shorter"):
            grown = self._chooser.randint(0, depth - 1)
        for one in [one for block in old[-depth:] for one in block.transactions]:
            self._displace(one, depth, grown)
        self._strangers()
        self.mine(grown)
        self._reached("chain.reorganised")
        if self._happens(self.faults.losing_branch):
            self._losing = old
            self._losing_until = _time() + self._chooser.uniform(0.5, 4)

    def _displace(self, one: Transaction, depth: int, grown: int) -> None:
        if self._happens(self.faults.dropped, "chain.payment_dropped"):
            return
        first = len(self._blocks)
        one.reorganised += 1
        one.from_block = first + self._chooser.randrange(max(1, grown))
        if self._happens(self.faults.later, "chain.payment_moved_back_later"):
            one.from_block = first + depth + self._chooser.randint(1, 5)
        self._pending.append(one)

    def _strangers(self) -> None:
        if not self._happens(self.faults.strangers, "chain.stranger_paid"):
            return
        address = STRANGER_MASTER_ID + b"\xfd" * 10 + self._chooser.randbytes(6)
        direct = _hex(self._masters[self._our_id])
        receiver = self._chooser.choice([_hex(address), direct, "0x" + "77" * 20])
        units = self._chooser.randint(1, 10**9)
        self.pay_together([(receiver, "PATHUSD", units, None)], payer="0x" + "99" * 20)
        self._pending.insert(0, self._pending.pop())

    def go_away(self, seconds: float) -> None:
        """Nobody reaches the node for so long."""
        self._away_until = max(self._away_until, _time() + seconds)

    def calm(self) -> None:
        """No more faults: what was sent and not dropped is mined, and the node shows it."""
        self.faults = ChainFaults()
        self._losing_until = self._away_until = self._behind_until = self._stalled_until = -1.0
        self._chase = None
        for one in self._pending:
            one.from_block = 0

    def _happens(self, chance: float, mark: str = "") -> bool:
        if chance <= 0 or self._chooser.random() >= chance:
            return False
        if mark:
            self._reached(mark)
        return True

    # -- the node ------------------------------------------------------------------------------

    def transport(self, node: Node | None = None) -> httpx.AsyncBaseTransport:
        """The way to the chain's node for one process."""
        return _Wire(self, node)

    @contextlib.contextmanager
    def installed(self, node_of: Callable[[], Node | None]) -> Iterator[None]:
        """Have every `RpcClient` that is made meanwhile ask this chain."""
        with mock.patch.object(rpc_client, "httpx", _Httpx(self, node_of)):
            yield

    async def serve(self, node: Node | None, request: httpx.Request) -> httpx.Response:
        """Answer one HTTP request as the node does, or as the way to it does."""
        faults, begun = self.faults, _time()
        patience = (request.extensions.get("timeout") or {}).get("read") or 3600.0
        if begun < self._away_until:
            self._reached("chain.node_away")
            await self._away(request, patience)
        lost = self._happens(faults.lost)
        before = lost and self._chooser.random() < 0.5
        if before:
            self._reached("chain.request_lost")
            await _hang(patience)
        await asyncio.sleep(self._chooser.uniform(0, faults.latency_s_max))
        body = await self._answer(json.loads(request.content))
        if lost:
            self._reached("chain.answer_lost")
            await _hang(patience)
        if self._happens(faults.late, "chain.answer_late"):
            await asyncio.sleep(self._chooser.uniform(0.2, 1.2) * patience)
        await asyncio.sleep(self._chooser.uniform(0, faults.latency_s_max))
        if _time() - begun > patience:
            raise httpx.ReadTimeout("the node took too long")
        if node is not None and not node.alive:
            raise httpx.ReadError("the process that asked is gone")
        return self._response(body, request)

    async def _away(self, request: httpx.Request, patience: float) -> None:
        if self._chooser.random() < 0.5:
            raise httpx.ConnectError("connection refused", request=request)
        await asyncio.sleep(patience)
        raise httpx.ConnectTimeout("no answer to the connection", request=request)

    def _response(self, body: Any, request: httpx.Request) -> httpx.Response:
        faults = self.faults
        if self._happens(faults.http_500, "chain.http_500"):
            status = self._chooser.choice([500, 502, 503, 504])
            return httpx.Response(status, content=b"upstream error", request=request)
        if self._happens(faults.throttled, "chain.throttled"):
            wait = self._chooser.choice([{}, {"Retry-After": "1"}, {"Retry-After": "3"}])
            return httpx.Response(429, headers=wait, content=b"slow down", request=request)
        content = json.dumps(body, separators=(",", ":")).encode()
        if self._happens(faults.garbage, "chain.garbage"):
            cut = content[: self._chooser.randrange(len(content))]
            content = self._chooser.choice([cut, b"<html>busy</html>", b"null", b"[]", b"[7]"])
        headers = {"Content-Type": "application/json"}
        return httpx.Response(200, headers=headers, content=content, request=request)

    async def _answer(self, asked: Any) -> Any:
        if not isinstance(asked, list):
            return self._reply(asked, self._view())
        faults = self.faults
        moving = len(asked) > 1 and self._happens(faults.moved_within_batch)
        pause_at = self._chooser.randrange(1, len(asked)) if moving else -1
        split = len(asked) > 1 and self._happens(faults.split, "chain.batch_split")
        answers, view = [], self._view()
        for place, call in enumerate(asked):
            if place == pause_at:
                shown = view[-1].hash
                await asyncio.sleep(self._chooser.uniform(0, 2 * self._block_s))
                view = self._view()
                if view[-1].hash != shown:
                    self._reached("chain.moved_within_batch")
            lag = self._chooser.randint(0, faults.behind_blocks_max) if split else 0
            answers.append(self._reply(call, view[: max(1, len(view) - lag)]))
        if answers and self._happens(faults.call_refused, "chain.call_refused"):
            place = self._chooser.randrange(len(answers))
            error = {"code": -32603, "message": "internal error"}
            answers[place] = {"jsonrpc": "2.0", "id": answers[place]["id"], "error": error}
        if answers and self._happens(faults.call_unanswered, "chain.call_unanswered"):
            del answers[self._chooser.randrange(len(answers))]
        if len(answers) > 1 and self._happens(faults.shuffled, "chain.answers_shuffled"):
            self._chooser.shuffle(answers)
        return answers

    def _view(self) -> list[Block]:
        """The chain as the node shows it at this moment."""
        at = _time()
        if at < self._losing_until:
            self._reached("chain.node_on_losing_branch")
            return self._losing
        if at < self._behind_until and len(self._blocks) > self._behind:
            self._reached("chain.node_behind")
            return self._blocks[: -self._behind]
        return self._blocks

    def _reply(self, call: dict[str, Any], view: list[Block]) -> dict[str, Any]:
        answer = {"jsonrpc": "2.0", "id": call.get("id")}
        try:
            return {**answer, "result": self._result(call["method"], call["params"], view)}
        except _Refused as error:
            return {**answer, "error": {"code": error.code, "message": str(error)}}

    def _result(self, method: str, parameters: list[Any], view: list[Block]) -> Any:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return hex(view[-1].number)
            case "eth_getBlockByNumber":
                number = _number(parameters[0], view)
                return view[number].header if number < len(view) else None
            case "eth_getBlockByHash":
                found = (block for block in reversed(view) if block.hash == parameters[0])
                block = next(found, None)
                return None if block is None else block.header
            case "eth_getLogs":
                return self._logs(parameters[0], view)
            case "eth_call":
                return self._call(*parameters, view=view)
        raise _Refused(-32601, "Method not found")

    def _logs(self, span: dict[str, Any], view: list[Block]) -> list[dict[str, Any]]:
        first = _existing(_number(span["fromBlock"], view), view)
        last = _number(span["toBlock"], view)
        if last >= len(view):
            self._reached("chain.logs_beyond_head")
        limit = self.faults.range_blocks_max
        if limit and last - first >= limit:
            self._reached("chain.range_refused")
            raise _Refused(-32602, RANGE_ERROR.format(limit))
        wanted = span.get("topics", [])
        blocks = view[first : last + 1]
        return [log for block in blocks for log in block.logs if _matches(log["topics"], wanted)]

    def _call(self, question: dict[str, str], at: str, *, view: list[Block]) -> str:
        last = _existing(_number(at, view), view)
        token, data = _raw(question["to"]), question["data"]
        if not token.startswith(b"\x20\xc0"):
            return "0x"
        code = next((code for code, known in self._tokens.items() if known == token), None)
        if code is None:
            raise _Refused(3, "execution reverted: custom error 0x1c72fad4")
        if data.startswith(SYMBOL):
            return _text(code.strip("*").replace("USD", "").title() + "USD" * code.count("USD"))
        if data.startswith(BALANCE_OF):
            return f"0x{_balance(token, bytes.fromhex(data[-40:]), view[: last + 1]):064x}"
        raise _Refused(3, "execution reverted: unknown function")


class _Wire(httpx.AsyncBaseTransport):
    """One process's way to the node."""

    def __init__(self, chain: SimChain, node: Node | None) -> None:
        self._chain, self._node = chain, node

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._chain.serve(self._node, request)


class _Httpx:
    """The module httpx, apart from the network."""

    def __init__(self, chain: SimChain, node_of: Callable[[], Node | None]) -> None:
        self._chain, self._node_of = chain, node_of

    def __getattr__(self, name: str) -> Any:
        return getattr(httpx, name)

    def AsyncClient(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._chain.transport(self._node_of()), **options)


def _logs_of(
    transaction: Transaction, masters: dict[bytes, bytes]
) -> Iterator[tuple[str, list[str], int]]:
    """Address, topics and value of a transaction's logs: nonce, transfers, fee."""
    payer = word(transaction.payer)
    yield NONCE_MANAGER, [NONCE_USED, payer, _digest("nonce", transaction.hash)], 1
    for move in transaction.moves:
        token, receiver = _hex(move.token), word(move.receiver)
        yield token, [TRANSFER, payer, receiver], move.units
        if move.memo is not None:
            memo = "0x" + move.memo.hex()
            yield token, [TRANSFER_WITH_MEMO, payer, receiver, memo], move.units
        if is_virtual(move.receiver):
            yield token, [TRANSFER, receiver, word(masters[move.receiver[:4]])], move.units
    yield _hex(FEE_TOKEN), [TRANSFER, payer, word(FEE_MANAGER)], FEE_UNITS


def _balance(token: bytes, holder: bytes, blocks: Sequence[Block]) -> int:
    """What an account holds: virtual addresses never anything, for they pass everything on."""
    if is_virtual(holder):
        return 0
    text, held, here = _hex(token), FUNDED_UNITS, word(holder)
    for block in blocks:
        for log in block.logs:
            if log["address"] == text and log["topics"][0] == TRANSFER:
                held += int(log["data"], 16) * (log["topics"][2] == here)
                held -= int(log["data"], 16) * (log["topics"][1] == here)
    return max(0, held)


def _number(text: str, view: Sequence[Block]) -> int:
    return view[-1].number if text == "latest" else int(text, 16)


def _existing(number: int, view: Sequence[Block]) -> int:
    if number >= len(view):
        height = view[-1].number
        message = f"BlockOutOfRangeError: block height is {height} but requested was {number}"
        raise _Refused(-32602, message)
    return number


def _matches(topics: Sequence[str], wanted: Sequence[str | list[str] | None]) -> bool:
    if len(wanted) > len(topics):
        return False
    return all(
        want is None or topic == want or (isinstance(want, list) and topic in want)
        for topic, want in zip(topics, wanted, strict=False)
    )


def _text(value: str) -> str:
    """A string as a contract returns it."""
    raw = value.encode()
    return "0x" + f"{32:064x}{len(raw):064x}" + raw.hex().ljust(64, "0")


def _raw(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _digest(*parts: object) -> str:
    return "0x" + hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def _time() -> float:
    return asyncio.get_running_loop().time()


async def _hang(patience: float) -> None:
    """Nothing comes, until the one who asked has waited long enough."""
    await asyncio.sleep(patience)
    raise httpx.ReadTimeout("no answer")
