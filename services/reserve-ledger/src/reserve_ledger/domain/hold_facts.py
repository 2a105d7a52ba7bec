"""What the ledger states about holds, and about what an escrow holds."""

from collections.abc import Iterator
from typing import Any

from invoiceos_contracts import Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.hold_v1 import (
    EscrowEvent,
    EscrowHeld,
    EscrowReleased,
    EscrowReturned,
    HoldCaptured,
    HoldExpired,
    HoldPlaced,
    HoldVoided,
)
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.chain import Posted
from reserve_ledger.domain.chart import ESCROW, PAYER_UNAPPLIED, REFUND_IN_FLIGHT
from reserve_ledger.domain.tenant_postings import Hold, HoldState

PAYERS = frozenset({PAYER_UNAPPLIED, REFUND_IN_FLIGHT})


def fact_of(hold: Hold) -> Event:
    """The fact that a hold came to where it stands."""
    about: dict[str, Any] = {
        "tenant_id": hold.tenant_id,
        "hold_id": hold.id,
        "reference": hold.reference,
        "address": hold.address,
        "amount": Amount(amount_minor=hold.amount_minor, asset=hold.asset),
    }
    if hold.ended_at is None:
        return HoldPlaced(
            **about,
            expires_at=hold.expires_at,
            placed_by=hold.actor,
            placed_at=hold.created_at,
        )
    match hold.state:
        case HoldState.CAPTURED:
            assert hold.transaction_id is not None
            left = hold.amount_minor - hold.captured_minor
            return HoldCaptured(
                **about,
                captured=Amount(amount_minor=hold.captured_minor, asset=hold.asset),
                released=Amount(amount_minor=left, asset=hold.asset),
                transaction_id=hold.transaction_id,
                ended_at=hold.ended_at,
            )
        case HoldState.VOIDED:
            return HoldVoided(**about, ended_at=hold.ended_at)
        case _:
            return HoldExpired(**about, ended_at=hold.ended_at)


def escrow_facts(posted: Posted) -> Iterator[EscrowEvent]:
    """What a transaction brought to each escrow, or took from it.

    Where it pays merchants and payers out of several escrows at once, what payers get is taken to
    come from the escrows in the order of the legs.
    """
    legs = posted.entry.legs
    changes: dict[tuple[str, str], int] = {}
    after: dict[tuple[str, str], int] = {}
    to_payers: dict[str, int] = {}
    for leg, balance in zip(legs, posted.address_balances, strict=True):
        if leg.account == ESCROW:
            place = (leg.address or own_address(ESCROW), leg.asset)
            changes[place] = changes.get(place, 0) - leg.amount_minor
            after[place] = -balance
        elif leg.account in PAYERS:
            to_payers[leg.asset] = to_payers.get(leg.asset, 0) - leg.amount_minor
    for (address, asset), change in changes.items():
        about = (posted, address, asset, after[address, asset])
        if change > 0:
            yield _moved(EscrowHeld, about, change)
            continue
        back = min(-change, max(0, to_payers.get(asset, 0)))
        to_payers[asset] = to_payers.get(asset, 0) - back
        if back:
            yield _moved(EscrowReturned, about, back)
        if -change > back:
            yield _moved(EscrowReleased, about, -change - back)


def _moved(kind: type[EscrowEvent], about: tuple[Posted, str, str, int], minor: int) -> EscrowEvent:
    posted, address, asset, after = about
    return kind(
        tenant_id=posted.entry.tenant_id,
        transaction_id=posted.entry.id,
        sequence=posted.sequence,
        template=str(posted.entry.template),
        address=address,
        amount=Amount(amount_minor=minor, asset=asset),
        balance=Amount(amount_minor=after, asset=asset),
        booked_at=posted.posted_at,
    )
