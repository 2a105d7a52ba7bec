"""What is asked of a node, in an order that makes the answers belong to one state of the chain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from provider_orchestrator.domain.chain import Block, Cursor, Swept, last_block_within
from provider_orchestrator.domain.transfers import Transfer, asset_code
from provider_orchestrator.providers.tempo import mapping
from provider_orchestrator.providers.tempo.client import BadAnswer, Call, ChainFault, RpcClient
from provider_orchestrator.settings import OrchestratorSettings

T = TypeVar("T")
LOGS_MAX = 2000
"""Transfers recorded in one transaction, unless a single block holds more."""
ADDRESSES_MAX = 500
"""Addresses asked for in one filter."""


class Moved(Exception):
    """The chain changed while it was being read; look again."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The chain's head, and what it has where we last were."""

    head: Block
    at_cursor: Block | None


class Tempo:
    """Questions to a node of a Tempo chain."""

    def __init__(self, client: RpcClient, settings: OrchestratorSettings) -> None:
        """Take the chain's facts from the settings."""
        self._client = client
        self._settings = settings
        self._assets: dict[bytes, str] = dict(settings.tokens)
        self._span = settings.tempo_log_range_max

    async def glance(self, number: int | None) -> Glance:
        """The head, and the block of this number; raises `BadAnswer` on another chain."""
        calls = [Call("eth_chainId"), _header("latest")]
        calls += [] if number is None else [_header(number)]
        chain_id, head, *known = await self._client.ask(*calls)
        if _read(mapping.quantity, chain_id) != self._settings.tempo_chain_id:
            raise BadAnswer(f"the node is on chain {chain_id}")
        block = _read(mapping.block, head)
        if block is None:
            raise BadAnswer("the node has no head")
        return Glance(block, _read(mapping.block, known[0]) if known else None)

    async def blocks(self, numbers: Sequence[int]) -> dict[int, Block]:
        """Those of these blocks that the chain has, by number."""
        answers = await self._client.ask(*[_header(number) for number in numbers])
        found = [_read(mapping.block, answer) for answer in answers]
        return {block.number: block for block in found if block is not None}

    async def sweep(self, cursor: Cursor, head: Block) -> Swept:
        """Every transfer after the cursor, up to the head or as far as one sweep may go.

        Raises `Moved` unless cursor, logs and end stood on one chain while they were read.
        """
        try:
            return await self._sweep(cursor, head)
        except BadAnswer:
            # A node may find a range too large, and says so in many ways.
            self._span = max(1, self._span // 2)
            raise

    async def _sweep(self, cursor: Cursor, head: Block) -> Swept:
        first = cursor.block.number + 1
        last = min(head.number, cursor.block.number + self._span)
        before, raw, behind, after = await self._client.ask(
            _header(last), self._deposits(first, last), _header(cursor.block.number), _header(last)
        )
        to = self._same(before, after)
        still = _read(mapping.block, behind)
        if still is None or still.hash != cursor.block.hash:
            raise Moved
        found = _read(mapping.logs, raw)
        cut = last_block_within([log.block_number for log in found], LOGS_MAX)
        if cut is not None and cut < last:
            found = [log for log in found if log.block_number <= cut]
        s = self._settings
        deposits = mapping.hops(found, guard=s.guard, master_id=s.master_id)
        made, last_block = await self._understand(deposits, to, cut)
        self._span = min(s.tempo_log_range_max, self._span * 2)
        return Swept(cursor, last_block, head.number, made)

    def _deposits(self, first: int, last: int) -> Call:
        """One filter for all invoices: Transfer, from anywhere, to the master or the guard."""
        ends = [self._settings.master] + ([self._settings.guard] if self._settings.guard else [])
        topics = [mapping.TRANSFER, None, [mapping.word(end) for end in ends]]
        return _logs(first, last, topics)

    async def _understand(
        self, deposits: list[mapping.Log], to: Block, cut: int | None
    ) -> tuple[list[Transfer], Block]:
        """Payers, memos, times and assets; `to` is read again: it must still stand."""
        if not deposits and cut is None:
            return [], to
        hashes = sorted({log.block_hash for log in deposits})
        addresses = sorted({log.sender for log in deposits})
        strangers = sorted({log.token for log in deposits} - self._assets.keys())
        await self._name(strangers)
        companions = self._companions(deposits, addresses)
        end = [_header(to.number)] + ([] if cut is None else [_header(cut)])
        answers = await self._client.ask(*[_by_hash(one) for one in hashes], *companions, *end)
        headers, rest = answers[: len(hashes)], answers[len(hashes) :]
        blocks = [_read(mapping.block, answer) for answer in headers]
        again = _read(mapping.block, rest[len(companions)])
        if again != to or any(block is None for block in blocks):
            raise Moved
        shortened = _read(mapping.block, rest[-1])
        if shortened is None:
            raise Moved
        around = mapping.Surroundings(
            chain_id=self._settings.tempo_chain_id,
            master=self._settings.master,
            guard=self._settings.guard,
            assets=self._assets,
            listed=frozenset(self._settings.tokens),
            times={block.hash: block.at for block in blocks if block is not None},
            companions=[
                log for answer in rest[: len(companions)] for log in _read(mapping.logs, answer)
            ],
        )
        return mapping.transfers(deposits, around), shortened

    def _companions(
        self, deposits: Sequence[mapping.Log], addresses: Sequence[bytes]
    ) -> list[Call]:
        """What came to the addresses in those blocks: it names payer and memo."""
        if not deposits:
            return []
        first, last = deposits[0].block_number, deposits[-1].block_number
        both = [mapping.TRANSFER, mapping.TRANSFER_WITH_MEMO]
        return [
            _logs(first, last, [both, None, [mapping.word(one) for one in chunk]])
            for place in range(0, len(addresses), ADDRESSES_MAX)
            if (chunk := addresses[place : place + ADDRESSES_MAX])
        ]

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
        tokens = sorted(self._settings.tokens.items(), key=lambda item: item[1])
        calls = [_balance(token, address, number) for address in addresses for token, _ in tokens]
        before, *raw, after = await self._client.ask(_header(number), *calls, _header(number))
        block = self._same(before, after)
        units = [_read(mapping.quantity, answer) for answer in raw]
        held = [
            {code: units[place * len(tokens) + n] for n, (_, code) in enumerate(tokens)}
            for place in range(len(addresses))
        ]
        return block, held

    async def reserves(self, number: int) -> tuple[Block, dict[str, int], dict[str, int]]:
        """What the master holds of each token, and how much there is of those we issue.

        All of it after one block; raises `Moved`.
        """
        s = self._settings
        tokens = sorted(s.tokens.items(), key=lambda item: item[1])
        issued = [(token, code) for token, code in tokens if code in s.issued]
        calls = [_balance(token, s.master, number) for token, _ in tokens]
        calls += [_total(token, number) for token, _ in issued]
        before, *raw, after = await self._client.ask(_header(number), *calls, _header(number))
        block = self._same(before, after)
        units = [_read(mapping.quantity, answer) for answer in raw]
        held = {code: units[n] for n, (_, code) in enumerate(tokens)}
        supply = {code: units[len(tokens) + n] for n, (_, code) in enumerate(issued)}
        return block, held, supply

    @staticmethod
    def _same(before: Any, after: Any) -> Block:
        first, second = _read(mapping.block, before), _read(mapping.block, after)
        if first is None or first != second:
            raise Moved
        return first


def _read(reader: Callable[[Any], T], answer: Any) -> T:
    try:
        return reader(answer)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise BadAnswer(str(error)[:200]) from error


def _header(number: int | str) -> Call:
    return Call("eth_getBlockByNumber", (hex(number) if isinstance(number, int) else number, False))


def _by_hash(block_hash: bytes) -> Call:
    return Call("eth_getBlockByHash", ("0x" + block_hash.hex(), False))


def _logs(first: int, last: int, topics: Sequence[Any]) -> Call:
    span: Mapping[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last), "topics": topics}
    return Call("eth_getLogs", (span,))


def _balance(token: bytes, address: bytes, number: int) -> Call:
    question = {"to": "0x" + token.hex(), "data": mapping.BALANCE_OF + mapping.word(address)[2:]}
    return Call("eth_call", (question, hex(number)))


def _total(token: bytes, number: int) -> Call:
    question = {"to": "0x" + token.hex(), "data": mapping.TOTAL_SUPPLY}
    return Call("eth_call", (question, hex(number)))


__all__ = ["ChainFault", "Glance", "Moved", "Tempo"]
