"""Transfers to the wallets of invoices, on the real chain."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytempo import Call
from pytempo.contracts import TIP20
from tests.load.tenants import UNITS

from invoiceos_local.chain import Node, dev_account
from invoiceos_local.tempo_facts import PAYER_INDEX, TOKENS

ASSET = "PATHUSD"
PAYERS = 4
_GAS_EACH, _GAS_BASE = 300_000, 700_000


@dataclass(slots=True)
class Payer:
    """Signs and sends; any number of transfers may be in flight."""

    node: Node
    keys: Sequence[str] = field(
        default_factory=lambda: [
            dev_account(PAYER_INDEX + number).private_key for number in range(PAYERS)
        ]
    )
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    async def submit(self, addresses: Sequence[str]) -> str:
        """One transaction that pays each address the total of an invoice; its hash."""
        token = TIP20(TOKENS[ASSET])
        calls: list[Call] = [token.transfer(to=to, amount=UNITS) for to in addresses]
        key = self.keys[next(self._turn) % len(self.keys)]
        gas = _GAS_BASE + _GAS_EACH * len(calls)
        return await self.node.submit(key, calls, gas_limit=gas)

    async def pay(self, addresses: Sequence[str]) -> None:
        """Submit, and wait until it is in a block and has succeeded."""
        receipt = await self.node.receipt(await self.submit(addresses))
        if not receipt.succeeded:
            raise RuntimeError(f"the payment {receipt.transaction_hash} was reverted")

    async def pay_all(self, addresses: Sequence[str], *, batch: int, at_once: int) -> None:
        """Pay many, so many in a transaction, so many transactions in flight."""
        gate = asyncio.Semaphore(at_once)

        async def one(part: Sequence[str]) -> None:
            async with gate:
                await self.pay(part)

        parts = [addresses[n : n + batch] for n in range(0, len(addresses), batch)]
        await asyncio.gather(*map(one, parts))
