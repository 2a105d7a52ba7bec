"""The document axis: draft, issue, open, void."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from invoice.domain import facts
from invoice.domain.settlement import count, derive, has_pending
from invoice.domain.states import (
    BookingState,
    D,
    Decision,
    Invoice,
    Opening,
    Payment,
    S,
    Sighting,
    Wallet,
)
from invoice.domain.totals import Worked
from invoice.errors import (
    InvoiceHasMoney,
    InvoiceNotDraft,
    InvoiceNotFound,
    InvoiceNotIssuable,
    InvoiceNotOpen,
    IssuingFrozen,
    PayableUntilPassed,
    VersionMismatch,
)
from invoiceos_contracts import Event
from invoiceos_contracts.invoice_v1 import (
    InvoiceCreated,
    InvoiceDeleted,
    InvoiceIssued,
    InvoiceIssueFailed,
    InvoiceIssuing,
    InvoiceUpdated,
    InvoiceVoided,
    LineSummary,
    SelectorInput,
    WalletPreference,
)
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletReady

TTL_AFTER_DUE = timedelta(days=7)
"""How long beyond the due date a wallet takes money, unless the issuer says otherwise."""
LINES_SHOWN = 20
SERIES = "INV"


def number_of(position: int) -> str:
    """The number of the n-th invoice of a tenant: 1 is INV-000001."""
    return f"{SERIES}-{position:06d}"


def require_version(invoice: Invoice, expected: int | None) -> None:
    """Raise `VersionMismatch` where the caller looked at another version."""
    if expected is not None and expected != invoice.version:
        raise VersionMismatch(current=invoice.version)


def draft(tenant_id: UUID, invoice_id: UUID, worked: Worked, now: datetime) -> Decision:
    """A draft comes to be."""
    invoice = Invoice(
        tenant_id=tenant_id,
        id=invoice_id,
        terms=worked.terms,
        sums=worked.sums,
        lines=worked.lines,
        created_at=now,
        updated_at=now,
    )
    return invoice, [InvoiceCreated(**facts.standing(invoice), **facts.about_draft(invoice))]


def require_draft(invoice: Invoice) -> None:
    """Raise `InvoiceNotDraft`; an invoice whose issue failed goes back to draft when edited."""
    if invoice.document not in (D.DRAFT, D.ISSUE_FAILED):
        raise InvoiceNotDraft


def edit(invoice: Invoice, worked: Worked) -> Decision:
    """A draft is changed; an edit that changes nothing is none. Raises `InvoiceNotDraft`."""
    require_draft(invoice)
    if invoice.document is D.DRAFT and Worked(invoice.terms, invoice.lines, invoice.sums) == worked:
        return invoice, []
    after = replace(
        invoice,
        document=D.DRAFT,
        reason=None,
        terms=worked.terms,
        lines=worked.lines,
        sums=worked.sums,
    )
    return after, [InvoiceUpdated(**facts.standing(after), **facts.about_draft(after))]


def delete(invoice: Invoice) -> Decision:
    """A draft is thrown away. Raises `InvoiceNotDraft`, and `InvoiceNotFound` once it is gone."""
    if invoice.document is D.DELETED:
        raise InvoiceNotFound
    require_draft(invoice)
    after = replace(invoice, document=D.DELETED, reason=None)
    return after, [InvoiceDeleted(**facts.standing(after))]


@dataclass(frozen=True, slots=True)
class Past:
    """What payer and issuer have done before; None where there is no payer or nothing is known."""

    invoices: int | None = None
    """Issued to this payer, of the last 50."""
    settled: int | None = None
    pays_by_token: bool | None = None
    issuer_late_ppm: int | None = None


NOTHING_KNOWN = Past()


def issue(
    invoice: Invoice, now: datetime, past: Past = NOTHING_KNOWN, *, frozen: bool = False
) -> Decision:
    """Ask for a wallet. Raises `InvoiceNotIssuable`, `IssuingFrozen` or `PayableUntilPassed`."""
    if invoice.document not in (D.DRAFT, D.ISSUE_FAILED):
        raise InvoiceNotIssuable
    if frozen:
        raise IssuingFrozen
    terms = invoice.terms
    ttl_s = time_to_live_s(invoice, now)
    if ttl_s < 1:
        raise PayableUntilPassed
    after = replace(invoice, document=D.ISSUING, attempt=invoice.attempt + 1, reason=None)
    fact = InvoiceIssuing(
        **facts.standing(after),
        asset=terms.asset,
        customer_id=terms.customer_id,
        due_at=terms.due_at,
        wallet=WalletPreference(mode=terms.mode, ttl_s=ttl_s, watch_window_s=terms.watch_window_s),
        selector=SelectorInput(
            recurring=terms.recurring,
            instalments=terms.instalments,
            payer_known=terms.customer_id is not None,
            bulk_size=terms.bulk_size,
            payer_invoices=past.invoices,
            payer_settled=past.settled,
            payer_pays_by_token=past.pays_by_token,
            issuer_late_ppm=past.issuer_late_ppm,
        ),
        attempt=after.attempt,
    )
    return after, [fact]


def time_to_live_s(invoice: Invoice, now: datetime) -> int:
    """Seconds the wallet lives from now: as asked, else until `payable_until`, else a week beyond
    the due date or, when that has passed, beyond today.
    """
    terms = invoice.terms
    if terms.payable_until is not None:
        return int((terms.payable_until - now).total_seconds())
    if terms.ttl_s is not None:
        return terms.ttl_s
    return int((max(terms.due_at, now) + TTL_AFTER_DUE - now).total_seconds())


def send(
    invoice: Invoice, now: datetime, past: Past = NOTHING_KNOWN, *, frozen: bool = False
) -> Decision:
    """Issue what has not been issued; an invoice that is on its way or open stays as it is."""
    if invoice.document in (D.ISSUING, D.OPEN):
        return invoice, []
    return issue(invoice, now, past, frozen=frozen)


def void(invoice: Invoice, *, reason: str, by: str) -> Decision:
    """Call an invoice off. Raises `InvoiceNotOpen` or `InvoiceHasMoney`."""
    if invoice.document is not D.OPEN:
        raise InvoiceNotOpen
    if invoice.received_micros or invoice.settlement is not S.UNPAID or has_pending(invoice):
        raise InvoiceHasMoney
    after = replace(invoice, document=D.VOID, reason=reason)
    return after, [InvoiceVoided(**facts.standing(after), reason=reason, by=by)]


def awaits_wallet(invoice: Invoice) -> bool:
    """Whether a wallet's answer means anything to the invoice."""
    return invoice.document is D.ISSUING


def fail(invoice: Invoice, fact: WalletFailed) -> Decision:
    """No rail could serve it: it can be issued again, or changed."""
    if not awaits_wallet(invoice):
        return invoice, []
    after = replace(invoice, document=D.ISSUE_FAILED, reason=fact.reason[:2000])
    failed = InvoiceIssueFailed(**facts.standing(after), reason=fact.reason, tried=fact.tried)
    return after, [failed]


def open_(
    invoice: Invoice, ready: WalletReady, given: Opening, *, link: str, now: datetime
) -> Decision:
    """The invoice gets its number, link and parties; money that came early counts now."""
    until = ready.expires_at if invoice.expires_at is None else invoice.expires_at
    after = replace(
        invoice,
        document=D.OPEN,
        number=given.number,
        link_hash=given.link.hash,
        issued_at=now,
        expires_at=max(until, ready.expires_at),
        wallet=_wallet(ready),
        parties=given.parties,
    )
    stated: list[Event] = [_issued(after, link)]
    after, news = _recall(after)
    return after, stated + news


def _wallet(ready: WalletReady) -> Wallet:
    return Wallet(
        wallet_id=ready.wallet_id,
        mode=str(ready.mode),
        rail=ready.rail,
        chain_id=ready.chain_id,
        address=ready.address,
        memo=ready.memo,
        accepted_assets=ready.accepted_assets,
        watch_window_s=ready.watch_window_s,
    )


def _issued(invoice: Invoice, link: str) -> InvoiceIssued:
    wallet, parties, terms = invoice.wallet, invoice.parties, invoice.terms
    assert wallet is not None
    assert parties is not None
    assert invoice.issued_at is not None
    assert invoice.expires_at is not None
    return InvoiceIssued(
        **facts.standing(invoice),
        issued_at=invoice.issued_at,
        due_at=terms.due_at,
        payment_link=link,
        customer_id=terms.customer_id,
        issuer_name=parties.issuer.name,
        recipient=parties.contact if parties.has_email else None,
        wallet_id=wallet.wallet_id,
        mode=wallet.mode,
        rail=wallet.rail,
        chain_id=wallet.chain_id,
        address=wallet.address,
        memo=wallet.memo,
        accepted_assets=wallet.accepted_assets,
        expires_at=invoice.expires_at,
        watch_window_s=wallet.watch_window_s,
        lines=tuple(
            LineSummary(
                description=line.description,
                quantity=line.quantity,
                total=facts.amount(invoice, line.total_minor),
            )
            for line in invoice.lines[:LINES_SHOWN]
        ),
    )


def _recall(invoice: Invoice) -> Decision:
    """Count what was held back while the invoice was being issued."""
    held = [item for item in invoice.bookings.values() if item.state is BookingState.HELD]
    after, stated = derive(invoice), list[Event]()
    if after.settlement is S.PROCESSING:
        stated.append(facts.processing(after, _first_pending(after)))
    for booking in sorted(held, key=lambda item: (item.booked_at, item.transaction_id)):
        after, news = count(after, booking)
        stated += news
    return after, stated


def _first_pending(invoice: Invoice) -> Payment:
    return next(item for item in invoice.payments.values() if item.sighting is Sighting.SEEN)
