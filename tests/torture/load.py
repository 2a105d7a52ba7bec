"""A client of the gateway that trusts nobody: it repeats itself, and writes down what it was told.

Lanes issue invoices and pay them on the chain: exactly, in two parts, too much, or not at all.
A request whose outcome is unknown is sent again with the same key until it is answered.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from eth_utils.crypto import keccak
from pytempo import TempoTransaction
from pytempo.contracts import TIP20
from tests.torture.journal import Journal, Payment, Promise

from invoiceos_local.chain import Node, dev_account
from invoiceos_local.demo.client import Client, an_invoice
from invoiceos_local.tempo_facts import TOKENS

UNITS_PER_CENT = 10_000
TAX = 119, 100
PAYERS = tuple(dev_account(number).private_key for number in range(2, 8))
AGAIN_SECONDS = 0.25
ANSWER_SECONDS = 15
WAYS = (["exact"] * 5) + (["parts"] * 3) + ["over", "none"]
_PASSING = {408, 409, 425, 429}
"""Answers after which the same request is right to be sent again, besides all 5xx."""


class Refused(Exception):
    """The platform refused what it has to accept."""


@dataclass
class Load:
    """Steady work through the gateway."""

    http: aiohttp.ClientSession
    node: Node
    client: Client
    journal: Journal
    chooser: random.Random
    lanes: int = 4
    pause_seconds: float = 0.3
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """What should not have been said to this client; each is a breach."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: int = 0
    _payers: Any = field(default_factory=lambda: itertools.cycle(PAYERS))

    def start(self) -> None:
        self._go.set()
        self._tasks = [asyncio.create_task(self._lane()) for _ in range(self.lanes)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def rest(self) -> None:
        """Begin nothing new; returns when what was begun is done."""
        self._go.clear()
        while self._busy:
            await asyncio.sleep(0.05)

    def resume(self) -> None:
        self._go.set()

    async def _lane(self) -> None:
        while True:
            await self._go.wait()
            self._busy += 1
            try:
                await self.one()
            except Exception as error:
                self.refused.append(repr(error)[:300])
            finally:
                self._busy -= 1
            await asyncio.sleep(self.pause_seconds)

    async def one(self, way: str | None = None) -> str:
        """One invoice: issued, and paid in some way; its id."""
        way = way or self.chooser.choice(WAYS)
        price = self.chooser.randrange(1, 1000) * 100
        invoice_id = await self.issue(price)
        due = price * TAX[0] // TAX[1]
        parts = {
            "exact": [due],
            "parts": [due // 3, due - due // 3],
            "over": [due + 500],
            "none": [],
        }[way]
        wallet = await self._wallet_of(invoice_id)
        for cents in parts:
            await self.pay(invoice_id, wallet, cents)
        self.counts[way] += 1
        return invoice_id

    async def issue(self, price_minor: int) -> str:
        """An invoice, asked for with one key until the answer is there."""
        key = secrets.token_hex(12)
        body = an_invoice("Work under fire", price_minor, watch_window_s=1) | {"reference": key}

        async def post() -> tuple[int, Any]:
            status, made, _ = await self.client.call(
                "POST", "/api/v1/invoices", body, Idempotency_Key=key
            )
            return status, made

        made = await self._insist(post, 201)
        total = made["total"]["amount_minor"]
        self.journal.promise(Promise(key, made["id"], total))
        if total != price_minor * TAX[0] // TAX[1]:
            self.refused.append(f"{made['id']}: {total} is not the total that was asked for")
        return str(made["id"])

    async def _wallet_of(self, invoice_id: str) -> Any:
        """Where to pay; an invoice that no rail could serve (the chain is away) is issued again."""

        def decided(view: Any) -> bool:
            return view["wallet"] is not None or view["status"]["document"] == "issue_failed"

        while (view := await self.until(invoice_id, decided))["wallet"] is None:
            self.counts["issued again"] += 1
            await asyncio.sleep(AGAIN_SECONDS)
            key = secrets.token_hex(12)

            async def post(key: str = key) -> tuple[int, Any]:
                status, made, _ = await self.client.call(
                    "POST", f"/api/v1/invoices/{invoice_id}/issue", {}, Idempotency_Key=key
                )
                return status, made

            await self._insist(post, 200)
        return view["wallet"]

    async def until(self, invoice_id: str, good: Callable[[Any], bool]) -> Any:
        """An invoice once it is as it must become; how long that may take the judge decides."""

        async def get() -> tuple[int, Any]:
            status, view, _ = await self.client.call("GET", f"/api/v1/invoices/{invoice_id}")
            return status, view

        while not good(view := await self._insist(get, 200)):
            await asyncio.sleep(0.1)
        return view

    async def _insist(self, ask: Callable[[], Awaitable[tuple[int, Any]]], good: int) -> Any:
        """Ask the same again until it is answered; a plain refusal is not taken."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    status, answer = await ask()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                self.counts["no answer"] += 1
            else:
                if status == good:
                    return answer
                if status not in _PASSING and status < 500:
                    raise Refused(f"{status} {str(answer)[:300]}")
                self.counts[f"answer {status}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)

    async def pay(self, invoice_id: str, wallet: Any, cents: int) -> None:
        """A transfer, written down before it is sent, and sent until it is in a block."""
        raw = await self._chain(lambda: self._signed(wallet, cents))
        payment = Payment("0x" + keccak(raw).hex(), "0x" + raw.hex(), invoice_id, cents)
        self.journal.pay(payment)
        await self._chain(lambda: self._mine(payment))
        self.counts["payments"] += 1

    async def _signed(self, wallet: Any, cents: int) -> bytes:
        contract = TIP20(TOKENS["PATHUSD"])
        units = cents * UNITS_PER_CENT
        memo = bytes.fromhex(wallet["memo"].removeprefix("0x"))
        chain_id, gas_price = await self.node._chain_constants()
        transaction = TempoTransaction.create(
            chain_id=chain_id,
            gas_limit=1_000_000,
            max_fee_per_gas=gas_price * 2,
            nonce=0,
            nonce_key=secrets.randbits(192) | 1,
            calls=(contract.transfer_with_memo(to=wallet["address"], amount=units, memo=memo),),
        )
        return bytes(transaction.sign(next(self._payers)).encode())

    async def _mine(self, payment: Payment) -> None:
        if await self._receipt(payment) is None:
            await self.node.call("eth_sendRawTransaction", payment.raw)
        receipt = await self.node.receipt(payment.transaction_hash)
        if not receipt.succeeded:
            self.refused.append(f"the transfer {payment.transaction_hash} was reverted")
        payment.mined = receipt.succeeded

    async def _receipt(self, payment: Payment) -> Any:
        return await self.node.call("eth_getTransactionReceipt", payment.transaction_hash)

    async def remember_the_chain(self) -> None:
        """Send again what the chain has forgotten, as a payer's own node would."""
        for payment in list(self.journal.payments.values()):
            await self._chain(lambda payment=payment: self._mine(payment))

    async def _chain(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask the chain until it answers."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await ask()
            except Exception as error:
                self.counts[f"chain {type(error).__name__}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)
