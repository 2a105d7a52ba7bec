"""What a client was promised, kept outside of what is tortured: a file, synced line by line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(slots=True)
class Promise:
    """An invoice whose creation was answered with 201, and what was asked for."""

    key: str
    """Idempotency-Key of the request; also the reference of the invoice."""
    invoice_id: str
    total_minor: int


@dataclass(slots=True)
class Payment:
    """A transfer that was signed; written down before it is sent, for its outcome may be lost."""

    transaction_hash: str
    raw: str
    invoice_id: str
    amount_minor: int
    """In cents, as the invoice counts."""
    mined: bool = False


@dataclass
class Journal:
    """Promises and payments, in memory and on disk."""

    path: Path
    promises: dict[str, Promise] = field(default_factory=dict)
    """By id of the invoice."""
    payments: dict[str, Payment] = field(default_factory=dict)
    """By transaction hash."""
    webhooks: dict[str, set[str]] = field(default_factory=dict)
    """Event id of each delivery that was answered with 200, to the bodies it came with."""

    @classmethod
    def create(cls, path: Path) -> Self:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return cls(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What the file says; a line that was never finished promised nothing."""
        journal = cls(path)
        for line in path.read_text().splitlines():
            try:
                kind, content = json.loads(line)
            except ValueError:
                continue
            if kind == "promise":
                journal.promises[content["invoice_id"]] = Promise(**content)
            else:
                journal.payments[content["transaction_hash"]] = Payment(**content)
        return journal

    def promise(self, promise: Promise) -> None:
        self._append("promise", asdict(promise))
        self.promises[promise.invoice_id] = promise

    def pay(self, payment: Payment) -> None:
        self._append("payment", asdict(payment))
        self.payments[payment.transaction_hash] = payment

    def paid_minor(self, invoice_id: str) -> int:
        """What the chain holds for an invoice, in cents."""
        return sum(
            payment.amount_minor
            for payment in self.payments.values()
            if payment.mined and payment.invoice_id == invoice_id
        )

    def _append(self, kind: str, content: Any) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps([kind, content]) + "\n")
            file.flush()
            os.fsync(file.fileno())
