"""One account on a chain: what it holds at a final block, and every movement of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from provider_orchestrator.domain.adapters import Holding, LineKind, StatementLine
from provider_orchestrator.domain.chain import Block
from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.client import Call, RpcClient
from provider_orchestrator.providers.chain.reader import ChainReader, read

STATEMENT_SPAN = 2000
"""Blocks read at once for a statement."""


class ChainAccount:
    """Questions about one account; every answer is of final blocks alone."""

    def __init__(
        self, client: RpcClient, reader: ChainReader, address: bytes, fees_to: bytes = b""
    ) -> None:
        """Nothing is asked yet. Transfers to `fees_to` are the fees of its transactions."""
        self._client = client
        self._reader = reader
        self._profile = reader.profile
        self._fees_to = fees_to
        self.address = address

    async def holdings(self) -> Sequence[Holding]:
        """What it has of each token; raises a `ChainFault` or `Moved`."""
        number = await self._reader.final()
        block, held = await self._reader.balances([self.address], number)
        return [Holding(asset, units, 0, block.at) for asset, units in sorted(held[0].items())]

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Each transfer from or to it, from `since` to just before `until`, oldest first."""
        final, first = await self._reader.final(), 0
        while first <= final:
            last = min(final, first + STATEMENT_SPAN - 1)
            ends = await self._reader.blocks([last])
            if last in ends and ends[last].at >= since:
                for line in await self._lines(first, last):
                    if since <= line.at < until:
                        yield line
            first = last + 1

    async def _lines(self, first: int, last: int) -> list[StatementLine]:
        rules, mine = self._profile.rules, mapping.word(self.address)
        span = {"fromBlock": hex(first), "toBlock": hex(last)}
        answers = await self._client.ask(
            Call("eth_getLogs", ({**span, "topics": [mapping.TRANSFER, mine]},)),
            Call("eth_getLogs", ({**span, "topics": [mapping.TRANSFER, None, mine]},)),
        )
        found = [
            log for one in answers for log in read(lambda a: mapping.logs(a, rules.is_token), one)
        ]
        logs = [log for log in found if log.token in rules.tokens and log.units]
        blocks = await self._reader.blocks(sorted({log.block_number for log in logs}))
        unique = {(log.block_number, log.index): log for log in logs if log.sender != log.receiver}
        return [self._line(log, blocks) for _, log in sorted(unique.items())]

    def _line(self, log: mapping.Log, blocks: dict[int, Block]) -> StatementLine:
        out = log.sender == self.address
        kind = LineKind.PAYOUT if out else LineKind.PAYMENT
        return StatementLine(
            id=f"{self._profile.chain_id}:{log.block_number}:{log.index}",
            kind=LineKind.FEE if log.receiver == self._fees_to else kind,
            asset=self._profile.rules.tokens[log.token],
            gross_minor=-log.units if out else log.units,
            fee_minor=0,
            at=blocks[log.block_number].at,
            provider_reference="0x" + log.transaction_hash.hex(),
        )
