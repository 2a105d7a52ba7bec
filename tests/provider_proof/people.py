"""Who pays, who does not, and what the merchant does about it: by chance, from the seed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from tests.provider_proof.core import Core, chunks
from tests.provider_proof.returns import Returns
from tests.provider_proof.stand import Stand

from invoiceos_contracts import Amount
from invoiceos_contracts.invoice_v1 import InvoiceIssued, InvoiceStatus
from messaging import Refusal
from provider_orchestrator.commands.create_intents import NewIntent, Part, create_intents
from provider_orchestrator.commands.follow_intents import (
    Capture,
    GiveUp,
    capture_intents,
    give_up_intents,
)
from provider_orchestrator.domain.intents import IntentState
from provider_sandbox.providers.circle import payments as circle_payments

_WAITING = """
    select i.id, i.state, i.amount_minor, i.action, a.provider, a.provider_reference
    from payment_intent as i join payment_attempt as a on a.tenant_id = i.tenant_id
        and a.intent_id = i.id and a.kind = 'collect' and a.state in ('sent', 'unknown')
    where i.tenant_id = $1 and i.state in ('requires_action', 'authorized')
    order by i.created_at, i.id
"""
_FAILED = """
    select i.id, s.invoice_id, i.manual_capture from payment_intent as i
    join payment_share as s on s.tenant_id = i.tenant_id and s.intent_id = i.id
    where i.tenant_id = $1 and i.state = 'failed' order by i.created_at, i.id
"""
METHODS = ("card", "account", "stablecoin", "any")
CARDS = {"good": "4242 4242 4242 4242", "bad": "4000 0000 0000 0002"}


def an_invoice(tenant_id: UUID, chance: Random) -> InvoiceIssued:
    """An invoice in dollars."""
    now = datetime.now(UTC)
    due = Amount(amount_minor=chance.randrange(100, 50_000), asset="USD")
    return InvoiceIssued(
        tenant_id=tenant_id,
        invoice_id=uuid4(),
        number="INV-1",
        status=InvoiceStatus(document="open", settlement="unpaid", timeliness="on_time"),
        total=due,
        due=due,
        received=Amount(amount_minor=0, asset="USD"),
        received_micros=0,
        issued_at=now,
        due_at=now + timedelta(days=14),
        payment_link="https://pay.example/x",
        customer_id=None,
        issuer_name="Example",
        recipient=None,
        wallet_id=uuid4(),
        mode="ephemeral",
        rail="tempo",
        chain_id=1,
        address="0x" + "11" * 20,
        memo=None,
        accepted_assets=("PATHUSD",),
        expires_at=now + timedelta(days=1),
        watch_window_s=60,
        lines=(),
    )


@dataclass(slots=True)
class People:
    """A merchant and its payers."""

    core: Core
    stand: Stand
    chance: Random
    tenant_id: UUID = field(default_factory=uuid4)
    fates: dict[UUID, str] = field(default_factory=dict)
    late: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    """Addresses that a payer pays to after the end."""
    returns: Returns = field(init=False)
    intents: int = 0
    tried_again: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Whoever sells may give back and send out."""
        self.returns = Returns(self.core, self.tenant_id)

    async def begin(self, count: int) -> None:
        """So many invoices, and somebody who wants to pay each."""
        invoices = [an_invoice(self.tenant_id, self.chance) for _ in range(count)]
        for some in chunks(invoices, 200):
            await self.core.unit.receives(*some)
            wanted = [self._wanted(one.invoice_id) for one in some]
            await self._created(wanted)

    async def _created(self, wanted: list[NewIntent]) -> None:
        made = await self.core.unit.command(create_intents, *wanted)
        assert not any(isinstance(one, Refusal) for one in made), made
        self.intents += len(made)

    def _wanted(self, invoice_id: UUID) -> NewIntent:
        method = self.chance.choices(METHODS, (40, 25, 15, 20))[0]
        reserves = method in ("card", "account") and self.chance.random() < 0.35
        return NewIntent(
            tenant_id=self.tenant_id,
            parts=(Part(invoice_id),),
            method=method,
            payer_country=None,
            instrument="pm_card_visa" if self.chance.random() < 0.5 else None,
            manual_capture=reserves,
            description="Invoice INV-1",
            return_url="https://shop.example/back",
            lives=timedelta(hours=1),
            actor="proof",
        )

    async def act(self, *, begins: bool) -> bool:
        """Everybody does what is theirs to do now; whether there was something."""
        rows = await self.core.unit.worker.fetch(_WAITING, self.tenant_id)
        captures: list[Capture] = []
        ends: list[GiveUp] = []
        for row in rows:
            if row["state"] == "authorized":
                self._follow(row, captures, ends)
            else:
                self._pay(row, ends)
        for some in chunks(captures, 100):
            await self.core.unit.command(capture_intents, *some)
        for some in chunks(ends, 100):
            await self.core.unit.command(give_up_intents, *some)
        began = await self._try_again() if begins else 0
        return bool(captures or ends or began)

    def _follow(self, row: Any, captures: list[Capture], ends: list[GiveUp]) -> None:
        key = row["id"]
        fate = self.fates.setdefault(
            UUID(int=key.int ^ 1), self.chance.choice(("whole", "part", "void", "wait"))
        )
        if fate == "void":
            ends.append(GiveUp(self.tenant_id, key, IntentState.VOIDED, "asked"))
        else:
            part = max(1, row["amount_minor"] // 2) if fate == "part" else None
            captures.append(Capture(self.tenant_id, key, part))

    def _pay(self, row: Any, ends: list[GiveUp]) -> None:
        known = self.fates.get(row["id"])
        fate = (
            known
            or self.chance.choices(
                ("pay", "decline", "leave", "cancel", "race", "late"), (72, 6, 6, 6, 6, 4)
            )[0]
        )
        self.fates[row["id"]] = fate if known is None else "done"
        if known is not None and not (known == "decline" and row["provider"] == "stripe"):
            return
        if fate in ("pay", "decline", "race"):
            # A card that was declined on the page is followed by one that is not.
            self._at_provider(row, good=fate != "decline" or known is not None)
        if fate in ("cancel", "race"):
            ends.append(GiveUp(self.tenant_id, row["id"], IntentState.CANCELED, "asked"))
        if fate == "late" and row["provider"] == "circle":
            self.late[row["id"]] = (row["action"]["address"], row["amount_minor"])

    def _at_provider(self, row: Any, *, good: bool) -> None:
        world, name = self.stand.world, row["provider"]
        if name == "circle":
            self._deposit(row["action"]["address"], row["amount_minor"], good=good)
            return
        forms = {
            "stripe": {"choice": "pay", "number": CARDS["good" if good else "bad"]},
            "paypal": {"choice": "approve" if good else "decline"},
        }
        world.providers[name].choose(world, row["provider_reference"], forms[name])

    def _deposit(self, address: str, minor: int, *, good: bool) -> None:
        """All at once, in two parts, or too little."""
        draw = self.chance.random()
        parts = [minor]
        if draw < 0.1 and minor > 1:
            parts = [minor // 2, minor - minor // 2]
        elif not good:
            parts = [max(1, minor // 3)]
        elif draw > 0.95:
            parts = [minor + 1]
        for part in parts:
            wanted = {"address": address, "amount": part}
            circle_payments.deposit(self.stand.world, wanted)

    async def _try_again(self) -> int:
        """Who failed definitely may begin anew, once; how many do."""
        rows = await self.core.unit.worker.fetch(_FAILED, self.tenant_id)
        wanted = []
        for row in rows:
            if row["id"] in self.tried_again or row["id"] in self.late:
                continue
            self.tried_again.add(row["id"])
            if row["invoice_id"] not in self.tried_again and self.chance.random() < 0.5:
                self.tried_again.add(row["invoice_id"])
                wanted.append(self._wanted(row["invoice_id"]))
        for some in chunks(wanted, 100):
            await self._created(list(some))
        return len(wanted)

    def pay_late(self) -> int:
        """Money for what has ended; how much of it."""
        for address, minor in self.late.values():
            circle_payments.deposit(self.stand.world, {"address": address, "amount": minor})
        found = len(self.late)
        self.late.clear()
        return found
