"""A wallet is about to be destroyed: somebody must look what it holds, outside any transaction."""

from collections.abc import Sequence

from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDestroying
from messaging import Received, Tx
from provider_orchestrator.domain.transfers import raw_of
from provider_orchestrator.store.providers import BalanceRequest, insert_balance_requests
from provider_orchestrator.store.sweeps import want_swept


async def request_balances(
    tx: Tx, events: Sequence[Received[EphemeralWalletDestroying]], *, chains: frozenset[int]
) -> None:
    """Note each question once; `answer_balances` answers it.

    What still lies at the address is fetched now, however little it is: the wallet cannot end
    before nothing is left there, and is asked about again until then.
    """
    requests = [
        BalanceRequest(
            event.fact.tenant_id,
            event.id,
            event.fact.wallet_id,
            event.fact.invoice_id,
            event.fact.chain_id,
            event.fact.address,
            event.fact.rail,
        )
        for event in events
        if event.fact.chain_id in chains and raw_of(event.fact.address, 20) is not None
    ]
    if requests:
        await insert_balance_requests(tx, requests)
        await want_swept(tx, [(one.tenant_id, one.wallet_id) for one in requests])
