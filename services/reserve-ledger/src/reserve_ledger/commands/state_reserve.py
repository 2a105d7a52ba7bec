"""State, with each batch of postings, that the reserve covers what circulates."""

from collections.abc import Iterator, Mapping, Sequence

import structlog
from prometheus_client import Gauge

from invoiceos_contracts import PLATFORM, Event
from invoiceos_contracts.ledger_v1 import ReserveBreached, ReserveRestored, ReserveStated
from messaging import Tx
from messaging.failpoints import failpoint
from reserve_ledger.domain import reserve, sources
from reserve_ledger.domain.chain import AccountKey, Head
from reserve_ledger.settings import settings, signer
from reserve_ledger.store import sources as observed
from reserve_ledger.store.reserve import insert_statement, next_statement

log = structlog.get_logger()
DIFFERENCE = Gauge(
    "invoiceos_reserve_difference_minor",
    "What is held less what the book says, as last stated; anything but 0 is a breach",
    ["kind", "asset"],
)


async def state_reserve(tx: Tx, changes: Mapping[AccountKey, int], heads: Sequence[Head]) -> None:
    """Add what a batch changed to the platform's totals, and state where they stand, signed.

    A breach is stated, not raised: the world must hear of it, and payments must not stop.
    """
    place, totals, view = await next_statement(tx, changes)
    stated = reserve.state(totals, heads, place, signer(), view)
    await insert_statement(tx, stated, heads)
    if stated.observed:
        await observed.insert_observed(tx, stated)
    tx.stage([stated])
    now = sources.breaches(stated.positions, stated.comparisons)
    if now != view.breaches:
        await _tell(tx, stated, view, now)
    for comparison in stated.comparisons:
        shown = comparison.difference_minor if comparison.breached else 0
        DIFFERENCE.labels(comparison.kind, comparison.asset).set(shown)
    failpoint("reserve.stated")


async def _tell(
    tx: Tx, stated: ReserveStated, view: sources.View, now: Mapping[tuple[str, str], int]
) -> None:
    """State what is breached now and was not, or by another amount, and what agrees again."""
    before = view.breaches or {}
    worse = {key: minor for key, minor in now.items() if before.get(key) != minor}
    frozen = view.frozen or (bool(worse) and settings().reserve_freeze_on_breach)
    await observed.save_breaches(tx, stated, now, frozen=frozen)
    for (kind, asset), minor in worse.items():
        log.error("reserve.breached", sequence=stated.sequence, kind=kind, asset=asset, minor=minor)
    tx.stage(_facts(stated, worse, before.keys() - now.keys(), frozen=frozen))


def _facts(
    stated: ReserveStated,
    worse: Mapping[tuple[str, str], int],
    better: set[tuple[str, str]],
    *,
    frozen: bool,
) -> Iterator[Event]:
    for (kind, asset), minor in sorted(worse.items()):
        yield ReserveBreached(
            tenant_id=PLATFORM,
            statement_series_id=reserve.SERIES,
            sequence=stated.sequence,
            kind=kind,
            asset=asset,
            difference_minor=minor,
            frozen=frozen,
            breached_at=stated.stated_at,
        )
    for kind, asset in sorted(better):
        yield ReserveRestored(
            tenant_id=PLATFORM,
            statement_series_id=reserve.SERIES,
            sequence=stated.sequence,
            kind=kind,
            asset=asset,
            frozen=frozen,
            restored_at=stated.stated_at,
        )
