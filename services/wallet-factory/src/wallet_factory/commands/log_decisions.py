"""Add decisions to their tenants' logs, and remember those of which something can be learned."""

from collections.abc import Sequence
from uuid import UUID

from invoiceos_contracts.base import WalletMode
from messaging import Tx
from wallet_factory.commands.label_decisions import label
from wallet_factory.commands.learn_modes import model_in_use
from wallet_factory.domain.selector import LEARNABLE, entry_of
from wallet_factory.domain.wallet import Decision
from wallet_factory.store import selector as store
from wallet_factory.store.selector import Entry, Open

OVERRIDE = "issuer_override"
"""The issuer knew better: its wish is the label, at once."""
WISHED = "issuer_preference.v1"


async def log_decisions(tx: Tx, decisions: Sequence[tuple[UUID, Decision]]) -> None:
    """Log decisions (id, decision); what became of each is added when it is known."""
    if not decisions:
        return
    model = model_in_use()
    entries = [
        Entry(
            made.request.tenant_id,
            wallet_id,
            made.request.invoice_id,
            "decision",
            entry_of(made.selection, model, made.request.attempt)
            | {
                "mode": made.mode.mode,
                "rule": made.mode.rule,
                "rail": made.choice.rail_name,
                "policy_version": made.policy_version,
            },
        )
        for wallet_id, made in decisions
    ]
    await store.append(tx, entries)
    served = [(wallet_id, made) for wallet_id, made in decisions if made.failure is None]
    waiting = [_open(*pair) for pair in served if pair[1].selection.rule in LEARNABLE]
    if waiting:
        await store.insert_open(tx, waiting)
    await label(
        tx,
        [
            (_open(wallet_id, made), made.mode.mode is WalletMode.PERSISTENT, OVERRIDE)
            for wallet_id, made in served
            if made.mode.rule == WISHED
        ],
    )


def _open(wallet_id: UUID, made: Decision) -> Open:
    request, selection = made.request, made.selection
    return Open(
        request.tenant_id,
        wallet_id,
        request.invoice_id,
        request.customer_id,
        selection.rule,
        selection.features,
    )
