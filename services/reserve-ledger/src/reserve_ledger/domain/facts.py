"""What the ledger states about a posted transaction."""

from collections.abc import Iterator

from invoiceos_contracts import Event
from invoiceos_contracts.base import Amount
from invoiceos_contracts.ledger_v1 import FundsBooked, FundsReversed, TransactionPosted
from reserve_ledger.domain.addresses import own_address
from reserve_ledger.domain.chain import Posted
from reserve_ledger.domain.chart import ESCROW
from reserve_ledger.domain.entries import Funds
from reserve_ledger.domain.hold_facts import escrow_facts


def facts_of(posted: Posted) -> Iterator[Event]:
    """The facts of one transaction, in order.

    Nested as plain values and read at once: half of what a call of each shape costs.
    """
    entry = posted.entry
    if entry.funds is not None:
        yield _moved(posted, entry.funds)
    yield TransactionPosted.model_validate(
        {
            "tenant_id": entry.tenant_id,
            "transaction_id": entry.id,
            "sequence": posted.sequence,
            "template": str(entry.template),
            "invoice_id": entry.invoice_id,
            "cause_event_id": entry.cause_event_id,
            "postings": [
                {
                    "account": leg.account,
                    "amount": {"amount_minor": leg.amount_minor, "asset": leg.asset},
                    "address": leg.address or own_address(leg.account),
                }
                for leg in entry.legs
            ],
            "reverses": entry.reverses,
            "reference": entry.reference,
            "effective_at": entry.effective_at,
            "posted_at": posted.posted_at,
            "previous_hash": posted.previous_hash,
            "hash": posted.hash,
            "payment_id": entry.payment_id,
        }
    )
    if any(leg.account == ESCROW for leg in entry.legs):
        yield from escrow_facts(posted)


def _moved(posted: Posted, funds: Funds) -> Event:
    entry, split = posted.entry, funds.split
    assert entry.invoice_id is not None
    applied = Amount(amount_minor=split.applied_minor, asset=split.asset)
    excess = Amount(amount_minor=split.excess_minor, asset=split.asset)
    if entry.reverses is not None:
        return FundsReversed(
            tenant_id=entry.tenant_id,
            transaction_id=entry.id,
            sequence=posted.sequence,
            template=str(entry.template),
            invoice_id=entry.invoice_id,
            wallet_id=funds.wallet_id,
            payment_id=funds.payment_id,
            reverses=entry.reverses,
            applied=applied,
            excess=excess,
            cause=funds.cause,
            booked_at=posted.posted_at,
        )
    return FundsBooked(
        tenant_id=entry.tenant_id,
        transaction_id=entry.id,
        sequence=posted.sequence,
        template=str(entry.template),
        invoice_id=entry.invoice_id,
        wallet_id=funds.wallet_id,
        payment_id=funds.payment_id,
        applied=applied,
        excess=excess,
        fee=Amount(amount_minor=split.fee_minor, asset=split.asset),
        booked_at=posted.posted_at,
    )
