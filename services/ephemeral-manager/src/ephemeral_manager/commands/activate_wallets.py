"""Begin the life of the wallets of invoices that were issued."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ephemeral_manager import store
from ephemeral_manager.commands.lives import timer_of
from ephemeral_manager.domain.wallet import activate
from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.invoice_v1 import InvoiceIssued
from messaging import Tx


@dataclass(frozen=True, slots=True)
class Issue:
    """An invoice that is open, and the fact that said so."""

    issued: InvoiceIssued
    cause: UUID


async def activate_wallets(tx: Tx, issues: Sequence[Issue]) -> None:
    """Start the time to live of each ephemeral wallet, once; persistent ones have no life here."""
    steps = {
        issue.issued.wallet_id: (activate(issue.issued), issue.cause)
        for issue in reversed(issues)
        if issue.issued.mode == WalletMode.EPHEMERAL
    }
    if not steps:
        return
    new = await store.insert_wallets(tx, [step.wallet for step, _ in steps.values()])
    for wallet_id in sorted(new):
        step, cause = steps[wallet_id]
        tx.stage((fact, cause) for fact in step.facts)
        tx.schedule(timer_of(step.wallet, alarm) for alarm in step.alarms)
