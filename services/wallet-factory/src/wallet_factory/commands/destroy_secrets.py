"""Destroy what the factory holds of a wallet whose life is over."""

from collections.abc import Mapping
from uuid import UUID

from messaging import Tx
from wallet_factory import store
from wallet_factory.domain.wallet import destroyed_fact


async def destroy_secrets(tx: Tx, wallets: Mapping[tuple[UUID, UUID], UUID]) -> None:
    """Delete the secrets of these wallets ((tenant, wallet) -> the fact that asked for it).

    Read back as absent in the same transaction, then stated. A wallet whose secrets are gone, or
    that is not ours, is left alone, so the fact is stated once however often it is asked for.
    """
    gone = await store.delete_secrets(tx, list(wallets), tx.now)
    remaining = await store.count_secrets(tx, gone)
    assert remaining == 0, f"{remaining} wallets still have secrets after deletion"
    tx.stage(
        (destroyed_fact(item, now=tx.now), wallets[item.tenant_id, item.wallet_id]) for item in gone
    )
