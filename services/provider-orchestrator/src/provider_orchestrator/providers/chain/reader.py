"""What is asked of a node, in an order that makes the answers belong to one state of the chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from provider_orchestrator.domain.chain import Block, Cursor, Swept, last_block_within
from provider_orchestrator.domain.transfers import Transfer, asset_code
from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.client import BadAnswer, Call, ChainFault, RpcClient
from provider_orchestrator.providers.chain.profile import ChainProfile, Filter, Surroundings

T = TypeVar("T")
LOGS_MAX = 2000
"""Transfers recorded in one transaction, unless a single block holds more."""
STEPS_BACK = (0, 16, 64, 256, 1024, 4096, 16384, 65536)
"""How far behind the cursor a block before a given time is looked for, at once."""


class Moved(Exception):
    """The chain changed while it was being read; look again."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The chain's head, and what it has where we last were."""

    head: Block
    at_cursor: Block | None
    finalized: int | None = None
    """The last block the node calls final, on a chain where that counts."""


class ChainReader:
    """Questions to a node of one chain."""

    def __init__(self, client: RpcClient, profile: ChainProfile) -> None:
        """Nothing is asked yet."""
        self._client = client
        self.profile = profile
        self._rules = profile.rules
        self._assets: dict[bytes, str] = dict(profile.rules.tokens)
        self._span = profile.log_range_max

    async def glance(self, number: int | None) -> Glance:
        """The head, and the block of this number; raises `BadAnswer` on another chain."""
        calls = [Call("eth_chainId"), header("latest")]
        calls += [header("finalized")] if self.profile.finalized_tag else []
        calls += [] if number is None else [header(number)]
        chain_id, head, *more = await self._client.ask(*calls)
        if read(mapping.quantity, chain_id) != self.profile.chain_id:
            raise BadAnswer(f"the node is on chain {chain_id}")
        block = read(mapping.block, head)
        if block is None:
            raise BadAnswer("the node has no head")
        finalized = read(mapping.block, more.pop(0)) if self.profile.finalized_tag else None
        at_cursor = read(mapping.block, more[0]) if more else None
        if not self.profile.finalized_tag:
            return Glance(block, at_cursor)
        return Glance(block, at_cursor, -1 if finalized is None else finalized.number)

    async def final(self) -> int:
        """The last block that cannot change."""
        glance = await self.glance(None)
        if glance.finalized is not None:
            return max(0, glance.finalized)
        return max(0, glance.head.number - self.profile.confirmations)

    async def blocks(self, numbers: Sequence[int]) -> dict[int, Block]:
        """Those of these blocks that the chain has, by number."""
        answers = await self._client.ask(*[header(number) for number in numbers])
        found = [read(mapping.block, answer) for answer in answers]
        return {block.number: block for block in found if block is not None}

    async def sweep(
        self,
        cursor: Cursor,
        head: Block,
        *,
        addresses: Sequence[bytes] | None = None,
        finalized: int | None = None,
    ) -> Swept:
        """Every transfer after the cursor, up to the head or as far as one sweep may go.

        Raises `Moved` unless cursor, logs and end stood on one chain while they were read.
        """
        first = cursor.block.number + 1
        last = min(head.number, cursor.block.number + self._span)
        try:
            made, to = await self._between(first, last, cursor, addresses)
        except BadAnswer:
            # A node may find a range too large, and says so in many ways.
            self._span = max(1, self._span // 2)
            raise
        self._span = min(self.profile.log_range_max, self._span * 2)
        known = None if addresses is None else frozenset(addresses)
        return Swept(cursor, to, head.number, made, finalized, known)

    async def before(self, cursor: Cursor, since: datetime, addresses: Sequence[bytes]) -> Swept:
        """What came to these addresses up to the cursor since a time, from the cursor to itself.

        Raises `Moved` when the chain is no longer where the cursor is.
        """
        numbers = [max(0, cursor.block.number - back) for back in STEPS_BACK]
        there = await self.blocks(sorted({*numbers, cursor.start.number}))
        begun = [n for n in numbers if n in there and there[n].at < since]
        first = max([*begun[:1], cursor.start.number]) + 1
        made: list[Transfer] = []
        while first <= cursor.block.number:
            last = min(cursor.block.number, first + self._span - 1)
            more, to = await self._between(first, last, cursor, addresses)
            made += more
            first = to.number + 1
        return Swept(cursor, cursor.block, cursor.block.number, made)

    async def _between(
        self, first: int, last: int, cursor: Cursor, addresses: Sequence[bytes] | None
    ) -> tuple[list[Transfer], Block]:
        filters = self._rules.deposits(addresses)
        before, *raw, behind, after = await self._client.ask(
            header(last),
            *[_logs(first, last, one) for one in filters],
            header(cursor.block.number),
            header(last),
        )
        to = self._same(before, after)
        still = read(mapping.block, behind)
        if still is None or still.hash != cursor.block.hash:
            raise Moved
        found = self._read_logs(raw)
        cut = last_block_within([log.block_number for log in found], LOGS_MAX)
        if cut is not None and cut < last:
            found = [log for log in found if log.block_number <= cut]
        return await self._understand(self._rules.hops(found), to, cut)

    def _read_logs(self, answers: Sequence[Any]) -> list[mapping.Log]:
        found = [
            log
            for answer in answers
            for log in read(lambda one: mapping.logs(one, self._rules.is_token), answer)
        ]
        return sorted(found, key=lambda log: (log.block_number, log.index))

    async def _understand(
        self, deposits: list[mapping.Log], to: Block, cut: int | None
    ) -> tuple[list[Transfer], Block]:
        """Payers, memos, times and assets; `to` is read again: it must still stand."""
        if not deposits and cut is None:
            return [], to
        hashes = sorted({log.block_hash for log in deposits})
        await self._name(sorted({log.token for log in deposits} - self._assets.keys()))
        companions = self._companions(deposits)
        end = [header(to.number)] + ([] if cut is None else [header(cut)])
        answers = await self._client.ask(*[_by_hash(one) for one in hashes], *companions, *end)
        headers, rest = answers[: len(hashes)], answers[len(hashes) :]
        blocks = [read(mapping.block, answer) for answer in headers]
        again = read(mapping.block, rest[len(companions)])
        if again != to or any(block is None for block in blocks):
            raise Moved
        shortened = read(mapping.block, rest[-1])
        if shortened is None:
            raise Moved
        around = Surroundings(
            chain_id=self.profile.chain_id,
            assets=self._assets,
            times={block.hash: block.at for block in blocks if block is not None},
            companions=self._read_logs(rest[: len(companions)]),
        )
        return self._rules.transfers(deposits, around), shortened

    def _companions(self, deposits: Sequence[mapping.Log]) -> list[Call]:
        if not deposits:
            return []
        first, last = deposits[0].block_number, deposits[-1].block_number
        return [_logs(first, last, one) for one in self._rules.companions(deposits)]

    async def _name(self, strangers: Sequence[bytes]) -> None:
        """Find out what tokens that are not ours call themselves; a silent one stays unknown."""
        for token in strangers:
            question = {"to": "0x" + token.hex(), "data": mapping.SYMBOL}
            try:
                (answer,) = await self._client.ask(Call("eth_call", (question, "latest")))
            except BadAnswer:
                answer = None
            self._assets[token] = asset_code(mapping.text(answer))

    async def balances(
        self, addresses: Sequence[bytes], number: int
    ) -> tuple[Block, list[dict[str, int]]]:
        """What each address holds of every token we take, after this block; raises `Moved`."""
        tokens = sorted(self._rules.tokens.items(), key=lambda item: item[1])
        calls = [_balance(token, address, number) for address in addresses for token, _ in tokens]
        before, *raw, after = await self._client.ask(header(number), *calls, header(number))
        block = self._same(before, after)
        units = [read(mapping.quantity, answer) for answer in raw]
        held = [
            {code: units[place * len(tokens) + n] for n, (_, code) in enumerate(tokens)}
            for place in range(len(addresses))
        ]
        return block, held

    async def supplies(self, tokens: Sequence[bytes], number: int) -> tuple[Block, list[int]]:
        """How much there is of each of these tokens, after this block; raises `Moved`."""
        calls = [_total(token, number) for token in tokens]
        before, *raw, after = await self._client.ask(header(number), *calls, header(number))
        return self._same(before, after), [read(mapping.quantity, answer) for answer in raw]

    @staticmethod
    def _same(before: Any, after: Any) -> Block:
        first, second = read(mapping.block, before), read(mapping.block, after)
        if first is None or first != second:
            raise Moved
        return first


def read(reader: Callable[[Any], T], answer: Any) -> T:
    """An answer as a reader understands it; raises `BadAnswer` where it makes no sense."""
    try:
        return reader(answer)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise BadAnswer(str(error)[:200]) from error


def header(number: int | str) -> Call:
    """A block by its number or its tag."""
    return Call("eth_getBlockByNumber", (hex(number) if isinstance(number, int) else number, False))


def _by_hash(block_hash: bytes) -> Call:
    return Call("eth_getBlockByHash", ("0x" + block_hash.hex(), False))


def _logs(first: int, last: int, where: Filter) -> Call:
    return Call("eth_getLogs", ({"fromBlock": hex(first), "toBlock": hex(last), **where},))


def _balance(token: bytes, address: bytes, number: int) -> Call:
    question = {"to": "0x" + token.hex(), "data": mapping.BALANCE_OF + mapping.word(address)[2:]}
    return Call("eth_call", (question, hex(number)))


def _total(token: bytes, number: int) -> Call:
    question = {"to": "0x" + token.hex(), "data": mapping.TOTAL_SUPPLY}
    return Call("eth_call", (question, hex(number)))


__all__ = ["ChainFault", "ChainReader", "Glance", "Moved"]
