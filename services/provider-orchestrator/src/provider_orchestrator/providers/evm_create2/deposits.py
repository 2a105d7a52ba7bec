"""Deposit addresses as a provider of the orchestrator: what came to one, and what the treasury has.

An order to collect asks for money at an address that the invoice's wallet has already; asking
moves nothing, so it may be asked again. Money leaves an address to the treasury alone, which is
the sweeper's work and no order's.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from provider_orchestrator.domain.adapters import (
    Action,
    ActionKind,
    Answer,
    Hint,
    Holding,
    Kind,
    NotAuthentic,
    Order,
    ProviderFault,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.chain import Cursor
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.transfers import CREATE2, Transfer, raw_of
from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.account import ChainAccount
from provider_orchestrator.providers.chain.client import (
    BadAnswer,
    Call,
    ChainFault,
    RpcClient,
    Throttled,
    Unreachable,
)
from provider_orchestrator.providers.chain.profile import ChainProfile
from provider_orchestrator.providers.chain.reader import ChainReader, Moved, read

TREASURY = "0x2d2c5565"
"""Selector of the factory's `TREASURY()`."""
CLOCKS_DIFFER = timedelta(minutes=10)
"""How far behind our clock a block's time may be."""


class DepositChain:
    """One chain with one factory on it."""

    def __init__(self, client: RpcClient, profile: ChainProfile, factory: bytes) -> None:
        """Nothing is asked yet."""
        self.rail = profile.key.rail
        self.profile = profile
        self.reader = ChainReader(client, profile)
        self._client = client
        self._factory = factory
        self._account: ChainAccount | None = None

    async def account(self) -> ChainAccount:
        """The treasury; the factory names it, and can never name another."""
        if self._account is None:
            question = {"to": "0x" + self._factory.hex(), "data": TREASURY}
            (answer,) = await self._client.ask(Call("eth_call", (question, "latest")))
            treasury = read(lambda one: mapping.data(one, 32), answer)[12:]
            if not any(treasury):
                raise BadAnswer("there is no factory at its address")
            self._account = ChainAccount(self._client, self.reader, treasury)
        return self._account

    async def came_to(self, address: bytes, since: datetime) -> list[Transfer]:
        """What came to an address since a moment, in blocks that cannot change any more."""
        number = await self.reader.final()
        there = await self.reader.blocks([0, number])
        if 0 not in there or number not in there:
            raise Moved
        cursor = Cursor(self.profile.chain_id, there[number], there[0], there[0].hash)
        swept = await self.reader.before(cursor, since - CLOCKS_DIFFER, [address])
        return list(swept.transfers)


class DepositAddresses:
    """All chains with a factory, each a rail."""

    name = CREATE2

    def __init__(self, chains: Sequence[DepositChain]) -> None:
        """Nothing is asked yet."""
        self._chains: Mapping[str, DepositChain] = {one.rail: one for one in chains}

    def prepare(self, orders: Sequence[Order], _now: datetime) -> Sequence[bytes | None]:
        """Nothing is signed for a payer."""
        return [None] * len(orders)

    async def send(self, order: Order) -> Answer:
        """Ask for money at the order's address; nothing moves by asking."""
        cause = self._hindrance(order)
        if cause is not None:
            return Answer(Outcome.OUR_FAULT, Status.FAILED, cause=cause)
        return await self._timed(lambda: self._find(order), order.rail)

    async def find(self, order: Order) -> Answer:
        """What came to the order's address since it was stored."""
        if self._hindrance(order) is not None:
            cause = "nothing_was_asked"
            return Answer(Outcome.OK, Status.NOT_FOUND, cause=cause, cannot_happen=True)
        answer = await self._timed(lambda: self._find(order), order.rail)
        if answer.outcome is Outcome.INFRA:
            # The node was not there to ask, which says nothing of the payer's money.
            return Answer(Outcome.UNKNOWN, cause=answer.cause, latency_us=answer.latency_us)
        return answer

    def _hindrance(self, order: Order) -> str | None:
        """Why an order can never be carried out here; None where it can."""
        if order.kind is not Kind.COLLECT:
            return "not_supported"
        chain = self._chains.get(order.rail)
        if chain is None:
            return "no_such_chain"
        if order.asset not in chain.profile.rules.tokens.values():
            return "asset_not_supported"
        return None if _address(order) else "no_deposit_address"

    async def _find(self, order: Order) -> Answer:
        chain, address = self._chains[order.rail], _address(order)
        assert address is not None
        came = [
            one
            for one in await chain.came_to(address, order.created_at)
            if one.asset == order.asset
        ]
        units, name = sum(one.units for one in came), "0x" + address.hex()
        whole = units >= order.amount_minor
        action = Action(ActionKind.DEPOSIT, address=name, chain=chain.rail)
        return Answer(
            Outcome.OK,
            Status.SUCCEEDED if whole else Status.REQUIRES_ACTION,
            provider_reference=name,
            amount_minor=units if came else None,
            asset=order.asset,
            fee_minor=0 if whole else None,
            action=None if whole else action,
            raw={
                "chain_id": chain.profile.chain_id,
                "transactions": sorted({"0x" + one.transaction_hash.hex() for one in came}),
            },
        )

    async def probe(self, rail: str) -> Answer:
        """The head of that rail's chain, and that the factory is there."""
        chain = self._chains.get(rail)
        if chain is None:
            return Answer(Outcome.OUR_FAULT, cause="no_such_chain")

        async def ask() -> Answer:
            await chain.reader.glance(None)
            await chain.account()
            return Answer(Outcome.OK)

        return await self._timed(ask, rail)

    async def hint(self, webhook: Webhook) -> Hint:
        """A chain calls nobody: whatever comes is not from it."""
        raise NotAuthentic(f"no chain sends webhooks; this has {len(webhook.body)} bytes")

    async def holdings(self) -> Sequence[Holding]:
        """What the treasuries of all chains have; what waits at addresses the sweeper knows."""
        held: dict[str, list[Holding]] = {}
        try:
            for chain in self._chains.values():
                for one in await (await chain.account()).holdings():
                    held.setdefault(one.asset, []).append(one)
        except (ChainFault, Moved) as error:
            raise _fault(error) from error
        return [
            Holding(asset, sum(p.available_minor for p in parts), 0, min(p.at for p in parts))
            for asset, parts in sorted(held.items())
        ]

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Each transfer from or to a treasury, of all chains, oldest first."""
        lines: list[StatementLine] = []
        try:
            for chain in self._chains.values():
                account = await chain.account()
                lines += [one async for one in account.statement(since, until)]
        except (ChainFault, Moved) as error:
            raise _fault(error) from error
        for line in sorted(lines, key=lambda one: one.at):
            yield line

    async def _timed(self, ask: Callable[[], Awaitable[Answer]], rail: str) -> Answer:
        """What a question came to, with how long it took; a node's fault is an answer too."""
        began = time.perf_counter()
        try:
            answer = await ask()
        except (ChainFault, Moved) as error:
            answer = Answer(_outcome(error), cause=f"{rail}: {error!r}"[:200])
        return replace(answer, latency_us=int((time.perf_counter() - began) * 1_000_000))


def _address(order: Order) -> bytes | None:
    """Where the order's money is to come to."""
    return raw_of(order.destination.get("address") or order.provider_reference or "", 20)


def _outcome(error: Exception) -> Outcome:
    if isinstance(error, Throttled):
        return Outcome.THROTTLED
    return Outcome.INFRA if isinstance(error, Unreachable) else Outcome.UNKNOWN


def _fault(error: Exception) -> ProviderFault:
    return ProviderFault(_outcome(error), str(error)[:200] or "moved")
