"""Tempo as a provider of the orchestrator: money out of the treasury, and what lies in it."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
from eth_account import Account

from provider_orchestrator.domain.adapters import (
    Answer,
    Hint,
    Holding,
    NotAuthentic,
    Order,
    ProviderFault,
    StatementLine,
    Status,
    Webhook,
)
from provider_orchestrator.domain.chain import Block
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.transfers import PROVIDER
from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.account import ChainAccount
from provider_orchestrator.providers.chain.client import (
    BadAnswer,
    Call,
    ChainFault,
    RpcClient,
    Throttled,
)
from provider_orchestrator.providers.chain.keys import key_in
from provider_orchestrator.providers.chain.profile import ChainProfile
from provider_orchestrator.providers.chain.reader import ChainReader, Moved, header, read
from provider_orchestrator.providers.tempo import payouts
from provider_orchestrator.providers.tempo.mapping import is_token
from provider_orchestrator.providers.tempo.payouts import Prepared, Treasury
from provider_orchestrator.settings import OrchestratorSettings


def treasury_of(settings: OrchestratorSettings) -> Treasury | None:
    """Whoever may sign for the treasury here; None where no key was given."""
    if settings.tempo_treasury_key_file is None:
        return None
    key = key_in(settings.tempo_treasury_key_file)
    return Treasury(
        chain_id=settings.tempo_chain_id,
        tokens={code: token for token, code in settings.tokens.items()},
        address=bytes.fromhex(Account.from_key(key).address[2:]),
        max_fee_per_gas=settings.tempo_max_fee_per_gas,
        private_key=key,
    )


class TempoTreasury:
    """Refunds and payouts by transfers of TIP-20 tokens."""

    name = PROVIDER

    def __init__(self, client: RpcClient, profile: ChainProfile, treasury: Treasury) -> None:
        """Nothing is asked yet."""
        self._client = client
        self._profile = profile
        self._reader = ChainReader(client, profile)
        self._treasury = treasury
        self._account = ChainAccount(
            client, self._reader, treasury.address, fees_to=payouts.FEE_MANAGER
        )

    def prepare(self, orders: Sequence[Order], now: datetime) -> Sequence[bytes | None]:
        """Signed transactions; none for what can never be carried out here."""
        made = [payouts.prepare(order, self._treasury, now) for order in orders]
        return [None if one is None else one.packed() for one in made]

    async def send(self, order: Order) -> Answer:
        """Send the very bytes that were stored, as often as they may still count."""
        cause = payouts.hindrance(order, self._treasury.tokens)
        if cause is not None:
            return Answer(Outcome.OUR_FAULT, Status.FAILED, cause=cause)
        if order.prepared is None:
            return Answer(Outcome.OUR_FAULT, Status.FAILED, cause="not_prepared")
        prepared = Prepared.unpacked(order.prepared)
        if datetime.now(UTC) >= prepared.valid_before:
            return Answer(Outcome.UNKNOWN, cause="key_expired")
        began = time.perf_counter()
        refusal = await self._submit(prepared)
        found = await self.find(order)
        latency = int((time.perf_counter() - began) * 1_000_000)
        if found.status in {Status.SUCCEEDED, Status.FAILED, Status.PROCESSING}:
            return found
        # Not in a block (yet): whatever the node said, it may have passed the bytes on.
        outcome = Outcome.UNKNOWN if refusal else Outcome.OK
        return Answer(
            outcome,
            None if refusal else Status.PROCESSING,
            provider_reference=_name(prepared),
            cause=refusal or "in_no_block_yet",
            latency_us=latency,
        )

    async def _submit(self, prepared: Prepared) -> str | None:
        """Why the node did not take it; None when it did, or has had it before."""
        try:
            await self._client.ask(Call("eth_sendRawTransaction", ("0x" + prepared.raw.hex(),)))
        except ChainFault as error:
            return str(error)[:200] or type(error).__name__
        return None

    async def find(self, order: Order) -> Answer:
        """By the transaction's hash; its absence is proof once a final block is late enough."""
        if order.prepared is None:
            return Answer(Outcome.OK, Status.NOT_FOUND, cause="never_prepared", cannot_happen=True)
        prepared = Prepared.unpacked(order.prepared)
        began = time.perf_counter()
        try:
            return await self._find(order, prepared)
        except (ChainFault, Moved) as error:
            latency = int((time.perf_counter() - began) * 1_000_000)
            return Answer(_outcome(error), cause=str(error)[:200] or "moved", latency_us=latency)

    async def _find(self, order: Order, prepared: Prepared) -> Answer:
        began = time.perf_counter()
        head = (await self._reader.glance(None)).head
        last = max(0, head.number - self._profile.confirmations)
        name = _name(prepared)
        before, receipt, after = await self._client.ask(
            header(last), Call("eth_getTransactionReceipt", (name,)), header(last)
        )
        final = read(mapping.block, before)
        if final is None or final != read(mapping.block, after):
            raise Moved
        latency = int((time.perf_counter() - began) * 1_000_000)
        if receipt is None:
            gone = final.at >= prepared.valid_before
            cause = "expired" if gone else "in_no_block_yet"
            return Answer(
                Outcome.OK,
                Status.NOT_FOUND,
                provider_reference=name,
                cause=cause,
                cannot_happen=gone,
                latency_us=latency,
            )
        return self._judged(order, receipt, final, latency)

    def _judged(self, order: Order, receipt: Any, final: Block, latency: int) -> Answer:
        name = "0x" + read(lambda one: mapping.data(one, 32), receipt["transactionHash"]).hex()
        if read(mapping.quantity, receipt.get("blockNumber")) > final.number:
            return Answer(
                Outcome.OK, Status.PROCESSING, provider_reference=name, latency_us=latency
            )
        logs = read(lambda one: mapping.logs(one, is_token), receipt.get("logs"))
        moved = payouts.moved(order, logs, self._treasury.address)
        whole = payouts.succeeded(receipt) and moved == order.amount_minor
        if payouts.succeeded(receipt) and not whole:
            raise BadAnswer(f"the transaction {name} moved {moved}, not what was signed")
        return Answer(
            Outcome.OK,
            Status.SUCCEEDED if whole else Status.FAILED,
            provider_reference=name,
            amount_minor=moved if whole else None,
            asset=order.asset,
            fee_minor=payouts.fee_of(logs, self._treasury.tokens[order.asset]),
            cause="" if whole else "reverted",
            latency_us=latency,
            raw={
                "transaction_hash": name,
                "block_number": receipt.get("blockNumber"),
                "block_hash": receipt.get("blockHash"),
                "gas_used": receipt.get("gasUsed"),
                "chain_id": self._profile.chain_id,
            },
        )

    async def probe(self, rail: str) -> Answer:
        """The head of the chain."""
        began = time.perf_counter()
        try:
            await self._reader.glance(None)
        except ChainFault as error:
            latency = int((time.perf_counter() - began) * 1_000_000)
            outcome = Outcome.THROTTLED if isinstance(error, Throttled) else Outcome.INFRA
            return Answer(outcome, cause=f"{rail}: {error}"[:200], latency_us=latency)
        return Answer(Outcome.OK, latency_us=int((time.perf_counter() - began) * 1_000_000))

    async def hint(self, webhook: Webhook) -> Hint:
        """A chain calls nobody: whatever comes is not from it."""
        raise NotAuthentic(f"Tempo sends no webhooks; this has {len(webhook.body)} bytes")

    async def holdings(self) -> Sequence[Holding]:
        """What the treasury has of each token at the last final block."""
        try:
            return await self._account.holdings()
        except (ChainFault, Moved) as error:
            raise ProviderFault(_outcome(error), str(error)[:200] or "moved") from error

    async def statement(self, since: datetime, until: datetime) -> AsyncIterator[StatementLine]:
        """Each transfer of the treasury's from `since` to just before `until`; the fees too."""
        try:
            async for line in self._account.statement(since, until):
                yield line
        except (ChainFault, Moved) as error:
            raise ProviderFault(_outcome(error), str(error)[:200] or "moved") from error


def _name(prepared: Prepared) -> str:
    return "0x" + prepared.transaction_hash.hex()


def _outcome(error: Exception) -> Outcome:
    return Outcome.THROTTLED if isinstance(error, Throttled) else Outcome.UNKNOWN


def open_treasury(
    session: aiohttp.ClientSession, settings: OrchestratorSettings, profile: ChainProfile
) -> TempoTreasury | None:
    """None where no key was given: then nothing goes out over Tempo from here."""
    del session  # the node is asked through the client that all chains have
    treasury = treasury_of(settings)
    if treasury is None:
        return None
    client = RpcClient(profile.rpc_url, timeout_s=profile.rpc_timeout_s)
    return TempoTreasury(client, profile, treasury)
