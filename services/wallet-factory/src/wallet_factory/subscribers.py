"""Facts of others, and the command each leads to."""

from invoiceos_contracts.ephemeral_v1 import (
    EphemeralWalletDestroying,
    EphemeralWalletDrained,
    LateFundsDetected,
)
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from messaging import Batch, Tx, consumes
from wallet_factory.commands.destroy_secrets import destroy_secrets
from wallet_factory.commands.label_decisions import note_ends, note_late_money
from wallet_factory.commands.note_health import HealthNews, note_health
from wallet_factory.commands.provision_wallets import WalletRequest, provision_wallets


@consumes(InvoiceIssuing)
async def on_invoice_issuing(tx: Tx, events: Batch[InvoiceIssuing]) -> None:
    """An invoice needs a wallet."""
    await provision_wallets(tx, [WalletRequest(event.fact, event.id) for event in events])


@consumes(ProviderHealthChanged)
async def on_provider_health_changed(tx: Tx, events: Batch[ProviderHealthChanged]) -> None:
    """A provider became better or worse on a rail, as a whole or in one currency."""
    await note_health(
        tx,
        [
            HealthNews(
                event.fact.provider,
                event.fact.rail,
                event.fact.currency or "",
                str(event.fact.new),
                event.fact.at,
                event.envelope.aggregate_version,
            )
            for event in events
        ],
    )


@consumes(EphemeralWalletDestroying)
async def on_ephemeral_wallet_destroying(tx: Tx, events: Batch[EphemeralWalletDestroying]) -> None:
    """A wallet's life is over."""
    await destroy_secrets(
        tx, {(event.fact.tenant_id, event.fact.wallet_id): event.id for event in events}
    )


@consumes(EphemeralWalletDrained, LateFundsDetected)
async def on_wallet_outcome(
    tx: Tx, events: Batch[EphemeralWalletDrained | LateFundsDetected]
) -> None:
    """A wallet was paid, or its time ran out; or money came that it no longer expected."""
    facts = [event.fact for event in events]
    ended = {
        (fact.tenant_id, fact.wallet_id): fact.reason
        for fact in facts
        if isinstance(fact, EphemeralWalletDrained)
    }
    await note_ends(tx, ended)
    late = [fact for fact in facts if isinstance(fact, LateFundsDetected)]
    await note_late_money(tx, {(fact.tenant_id, fact.wallet_id) for fact in late})


SUBSCRIPTIONS = (
    on_invoice_issuing,
    on_provider_health_changed,
    on_ephemeral_wallet_destroying,
    on_wallet_outcome,
)
