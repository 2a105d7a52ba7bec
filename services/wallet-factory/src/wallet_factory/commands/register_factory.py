"""Store a configured factory, so that its counter can be taken from."""

from messaging import Tx
from wallet_factory import store
from wallet_factory.domain.create2 import Create2Rail
from wallet_factory.errors import TagKeyChanged


async def register_factory(tx: Tx, rail: Create2Rail) -> None:
    """Make the factory's row, or check that addresses still follow from what they followed from.

    Raises `TagKeyChanged`: under another key the next address could be one already given, and
    under another implementation nobody could fetch what comes to it.
    """
    begun_with = await store.lock_salt_key(tx, rail)
    if begun_with != (rail.implementation.lower(), rail.salt_key_fingerprint):
        raise TagKeyChanged(
            f"INVOICEOS_EVM_SALT_KEY or the implementation of factory {rail.factory} is not "
            "what its addresses were begun with; give back the old one, or deploy another factory"
        )
