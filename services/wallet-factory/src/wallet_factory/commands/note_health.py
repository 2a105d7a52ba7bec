"""Keep this service's own copy of how the providers are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from messaging import Tx
from wallet_factory import store


@dataclass(frozen=True, slots=True)
class HealthNews:
    """The state of a provider on a rail at a time."""

    provider: str
    rail: str
    currency: str
    """Empty: the rail as a whole."""
    state: str
    at: datetime
    version: int


async def note_health(tx: Tx, news: Sequence[HealthNews]) -> None:
    """Remember the newest state of each provider; news that come late change nothing."""
    await store.upsert_health(
        tx,
        [
            (item.provider, item.rail, item.currency, item.state, item.at, item.version)
            for item in news
        ],
    )
