"""A wallet is about to be destroyed: somebody must look what it holds, outside any transaction."""

from collections.abc import Sequence

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying
from messaging import Received, Tx
from provider_orchestrator.domain.transfers import RAIL, raw_of
from provider_orchestrator.store.providers import BalanceRequest, insert_balance_requests


async def request_balances(tx: Tx, events: Sequence[Received[EphemeralWalletDestroying]]) -> None:
    """Note each question once; `answer_balances` answers it."""
    requests = [
        BalanceRequest(
            event.fact.tenant_id,
            event.id,
            event.fact.wallet_id,
            event.fact.invoice_id,
            event.fact.chain_id,
            event.fact.address,
        )
        for event in events
        if event.fact.rail == RAIL
        and event.fact.chain_id is not None
        and raw_of(event.fact.address, 20) is not None
    ]
    if requests:
        await insert_balance_requests(tx, requests)
