"""Store the configured master, so that its counter can be taken from."""

from messaging import Tx
from wallet_factory import store
from wallet_factory.domain.tempo import TempoRail
from wallet_factory.errors import TagKeyChanged


async def register_master(tx: Tx, rail: TempoRail) -> None:
    """Make the master's row, or check that the key is still the one its counter was begun with.

    Raises `TagKeyChanged`: under another key the next address could be one already given.
    """
    begun_with = await store.lock_counter_key(tx, rail)
    if begun_with != rail.tag_key_fingerprint:
        raise TagKeyChanged(
            f"INVOICEOS_TEMPO_TAG_KEY is not the key master {rail.master_id} was begun with; "
            "give back the old key, or register another master"
        )
    await store.update_master_address(tx, rail)
