"""The wallets and payments a batch touches: locked once, changed in memory, saved once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Self
from uuid import UUID

from ephemeral_manager import store
from ephemeral_manager.domain.matters import Open
from ephemeral_manager.domain.payments import Payment, review, unknown_payments
from ephemeral_manager.domain.wallet import Alarm, Step, Wallet
from ephemeral_manager.store import Key
from ephemeral_manager.store.matters import count_open
from invoiceos_contracts import Event
from messaging import Timer, Tx


class Lives:
    """Several items of one batch may concern the same wallet: each sees what those before did."""

    def __init__(self, tx: Tx, wallets: Iterable[Wallet]) -> None:
        """Take wallets this transaction has locked."""
        self._now = tx.now
        self.wallets: dict[Key, Wallet] = {(w.tenant_id, w.id): w for w in wallets}
        self.payments: dict[Key, dict[UUID, Payment]] = {}
        self.matters: dict[Key, Open] = {}
        """What is open, by tenant and invoice."""
        self._before = dict(self.wallets)
        self._payments_before: dict[UUID, Payment] = {}
        self._facts: list[tuple[Event, UUID | None]] = []
        self._timers: list[Timer] = []

    @classmethod
    async def alone(cls, tx: Tx, keys: Iterable[Key]) -> Self:
        """The wallets of these keys (tenant, wallet) that there are, without their payments."""
        return cls(tx, await store.lock_wallets(tx, keys))

    @classmethod
    async def load(cls, tx: Tx, keys: Iterable[Key]) -> Self:
        """The wallets of these keys (tenant, wallet) that there are, with their payments."""
        lives = await cls.alone(tx, keys)
        await lives.load_payments(tx, lives.wallets)
        lives.matters = await count_open(tx, list(lives.by_invoice()))
        return lives

    @classmethod
    async def of_invoices(cls, tx: Tx, keys: Iterable[Key]) -> Self:
        """The wallets of these invoices (tenant, invoice) that there are, with their payments."""
        lives = cls(tx, await store.lock_wallets_of_invoices(tx, keys))
        await lives.load_payments(tx, lives.wallets)
        return lives

    async def load_payments(self, tx: Tx, keys: Iterable[Key]) -> None:
        """Lock and load every payment to these wallets (tenant, wallet)."""
        for payment in await store.lock_payments(tx, keys):
            self._payments_before[payment.id] = payment
            self.payments.setdefault((payment.tenant_id, payment.wallet_id), {})[payment.id] = (
                payment
            )

    def by_invoice(self) -> dict[Key, Key]:
        """Key of the wallet of each invoice (tenant, invoice)."""
        return {(w.tenant_id, w.invoice_id): key for key, w in self.wallets.items()}

    def apply(self, key: Key, step: Step, cause: UUID | None) -> None:
        """Take a step: it is what the next item finds."""
        self.wallets[key] = step.wallet
        self._facts += [(fact, cause) for fact in step.facts]
        self._timers += [timer_of(step.wallet, alarm) for alarm in step.alarms]

    def change(self, key: Key, decide: Callable[[Wallet], Step], cause: UUID | None = None) -> None:
        """Take the step that is decided on a wallet as it is now; nothing where there is none."""
        wallet = self.wallets.get(key)
        if wallet is not None:
            self.apply(key, decide(wallet), cause)

    def review(self, key: Key, cause: UUID | None, *, final: bool = False) -> None:
        """Look for late money among the payments of a wallet."""
        wallet, payments = self.wallets.get(key), self.payments.get(key)
        if wallet is None or not payments:
            return
        step, changed = review(wallet, payments.values(), self._now, final=final)
        payments.update((payment.id, payment) for payment in changed)
        self.apply(key, step, cause)

    def still_open(self, key: Key) -> Open:
        """How much about a wallet's money has an open end: it is not destroyed before."""
        wallet = self.wallets[key]
        known = self.matters.get((wallet.tenant_id, wallet.invoice_id), Open())
        unknown = unknown_payments(self.payments.get(key, {}).values())
        return replace(known, payments=known.payments + unknown)

    async def save(self, tx: Tx) -> None:
        """Write what changed, state the facts, set the alarms."""
        changed = []
        for key, wallet in self.wallets.items():
            before = self._before.get(key)
            if before is not None and wallet != before:
                self.wallets[key] = replace(wallet, version=before.version + 1)
                changed.append(self.wallets[key])
        if changed:
            await store.update_wallets(tx, changed)
        paid = [
            payment
            for group in self.payments.values()
            for payment in group.values()
            if payment != self._payments_before.get(payment.id)
        ]
        if paid:
            await store.update_payments(tx, paid)
        tx.stage(self._facts)
        tx.schedule(self._timers)


def timer_of(wallet: Wallet, alarm: Alarm) -> Timer:
    """The timer that wakes a wallet; one of a kind for each, the last one set counts."""
    return Timer(
        alarm.kind.value, str(wallet.id), wallet.tenant_id, alarm.due_at, dict(alarm.payload)
    )
