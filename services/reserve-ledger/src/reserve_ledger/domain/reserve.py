"""The reserve statement: for each asset, what is held covers what circulates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from chassis.evidence import Signer, canonical, digest
from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import MAX_MINOR, Amount
from invoiceos_contracts.ledger_v1 import LedgerHead, Posting, ReservePosition, ReserveStated
from reserve_ledger.domain import sources
from reserve_ledger.domain.chain import AccountKey, Head
from reserve_ledger.domain.chart import circulates, holds_reserve, is_own
from reserve_ledger.domain.sources import View

SERIES: Final = UUID("0193a5b2-0000-7000-8000-726573657276")
"""The one series of statements of this platform."""
NOTHING_SEEN: Final = View()


@dataclass(frozen=True, slots=True)
class Next:
    """The place of the statement to be made."""

    sequence: int
    previous_hash: str
    stated_at: datetime


def positions(totals: Mapping[AccountKey, int]) -> tuple[ReservePosition, ...]:
    """Where each asset stands, from the platform's balances by account and asset."""
    assets = sorted({asset for _, asset in totals})
    return tuple(_position(asset, totals) for asset in assets)


def _position(asset: str, totals: Mapping[AccountKey, int]) -> ReservePosition:
    held = {code: minor for (code, of), minor in sorted(totals.items()) if of == asset}
    reserve = sum(minor for code, minor in held.items() if holds_reserve(code))
    circulation = -sum(minor for code, minor in held.items() if circulates(code))
    own = -sum(minor for code, minor in held.items() if is_own(code))
    return ReservePosition(
        asset=asset,
        reserve=tuple(
            posting
            for code, minor in held.items()
            if holds_reserve(code)
            for posting in _postings(code, asset, minor)
        ),
        reserve_minor=reserve,
        circulation_minor=circulation,
        own_funds_minor=own,
        difference_minor=reserve - circulation - own,
    )


def _postings(code: str, asset: str, minor: int) -> Iterable[Posting]:
    """One posting, or several where a total is more than a single amount may be."""
    step = MAX_MINOR if minor > 0 else -MAX_MINOR
    while abs(minor) > MAX_MINOR:
        yield Posting(account=code, amount=Amount(amount_minor=step, asset=asset))
        minor -= step
    yield Posting(account=code, amount=Amount(amount_minor=minor, asset=asset))


def is_covered(stated: Sequence[ReservePosition]) -> bool:
    """Whether every asset's reserve is what is owed and what is the platform's own, to the unit."""
    return all(position.difference_minor == 0 for position in stated)


def state(
    totals: Mapping[AccountKey, int],
    heads: Sequence[Head],
    place: Next,
    signer: Signer,
    view: View = NOTHING_SEEN,
) -> ReserveStated:
    """The next statement, after a batch that left these ledgers at these heads."""
    stated = positions(totals)
    head = ledger_head(place.previous_hash, [(h.tenant_id, h.hash) for h in heads])
    ledgers = tuple(
        LedgerHead(tenant_id=h.tenant_id, sequence=h.sequence, hash=h.hash)
        for h in sorted(heads, key=lambda h: h.tenant_id)
    )
    observed = tuple(source.stated() for source in view.sources)
    comparisons = view.comparisons(totals)
    return ReserveStated(
        tenant_id=PLATFORM,
        statement_series_id=SERIES,
        sequence=place.sequence,
        positions=stated,
        covered=is_covered(stated),
        ledger_head=head,
        previous_hash=place.previous_hash,
        stated_at=place.stated_at,
        signature=signer.sign(signed_hash(head, stated)),
        key_id=signer.key_id,
        ledgers=ledgers,
        observed=observed,
        comparisons=comparisons,
        observed_signature=signer.sign(sources.signed_hash(head, ledgers, observed, comparisons)),
    )


def ledger_head(previous_hash: str, heads: Iterable[tuple[UUID, str]]) -> str:
    """SHA-256 over the statement before and the heads of the ledgers touched, by tenant."""
    plain: list[object] = [[str(tenant), hash_hex] for tenant, hash_hex in sorted(heads)]
    return digest(bytes.fromhex(previous_hash), canonical(plain))


def signed_hash(head: str, stated: Sequence[ReservePosition]) -> str:
    """What the signature is over: `ledger_head` and the positions in canonical form."""
    plain: list[object] = [position.model_dump(mode="json") for position in stated]
    return digest(bytes.fromhex(head), canonical(plain))
