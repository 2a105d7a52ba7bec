"""What wallets held at a final block is stated, once for each question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invoiceos_contracts import Amount
from invoiceos_contracts.base import MAX_MINOR
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from messaging import Tx
from provider_orchestrator.domain.chain import Block
from provider_orchestrator.store import payments
from provider_orchestrator.store.providers import BalanceRequest, take_balance_requests


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer: minor units by asset, at a block every deposit up to which is recorded."""

    request: BalanceRequest
    balances: Mapping[str, int]
    block: Block


async def answer_balances(tx: Tx, observed: Sequence[Observed]) -> int:
    """State the balances whose question is still open; how many there were.

    More than any amount can be is stated as the largest amount: what matters is that it is not 0.
    """
    still_open = await take_balance_requests(tx, [one.request for one in observed])
    answers = [one for one in observed if one.request.event_id in still_open]
    if not answers:
        return 0
    wallets = [(one.request.tenant_id, one.request.wallet_id) for one in answers]
    pending = await payments.count_pending(tx, wallets)
    tx.stage(
        (
            WalletBalanceObserved(
                tenant_id=one.request.tenant_id,
                wallet_id=one.request.wallet_id,
                invoice_id=one.request.invoice_id,
                rail=one.request.rail,
                chain_id=one.request.chain_id,
                address=one.request.address,
                block_number=one.block.number,
                block_hash="0x" + one.block.hash.hex(),
                balances=tuple(
                    Amount(amount_minor=min(minor, MAX_MINOR), asset=asset)
                    for asset, minor in sorted(one.balances.items())
                ),
                payments_pending=pending.get(one.request.wallet_id, 0),
                observed_at=tx.now,
            ),
            one.request.event_id,
        )
        for one in answers
    )
    return len(answers)
