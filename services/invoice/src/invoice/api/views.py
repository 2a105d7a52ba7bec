"""What people get: one vocabulary with the events."""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from invoice.commands.bodies import DiscountInput, TaxInput
from invoice.commands.create_customers import opened, person_of
from invoice.domain import facts
from invoice.domain.links import link_for
from invoice.domain.states import Invoice, Line
from invoice.domain.totals import taxes_of
from invoice.settings import link_key, link_of
from invoice.store.parties import Customer, Profile
from invoiceos_contracts import Amount
from invoiceos_contracts.base import AssetCode
from invoiceos_contracts.ids import CustomerId, InvoiceId, WalletId
from invoiceos_contracts.invoice_v1 import InvoiceStatus
from money import AmountOff, Discount, PercentOff


class View(BaseModel):
    """A resource."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class IssuerView(View):
    """Who issues the tenant's invoices."""

    name: str
    address: Sequence[str]
    version: int

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """The profile as it is shown."""
        return cls(
            name=profile.issuer.name, address=profile.issuer.address, version=profile.version
        )


class CustomerView(View):
    """A customer."""

    id: CustomerId
    version: int
    name: str
    email: str | None
    address: Sequence[str]
    reference: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, customer: Customer) -> Self:
        """The customer in clear."""
        person = person_of(customer)
        return cls(
            id=customer.id,
            version=customer.version,
            name=person.name,
            email=person.email,
            address=person.address,
            reference=person.reference,
            created_at=customer.created_at,
            updated_at=customer.updated_at,
        )


class ToleranceView(View):
    """How much may be missing from a payment in full."""

    percent_ppm: int
    amount: Amount


class WalletView(View):
    """Where the invoice is paid."""

    id: WalletId
    mode: str
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    accepted_assets: Sequence[AssetCode]
    watch_window_s: int
    destroyed_at: AwareDatetime | None

    @classmethod
    def of(cls, invoice: Invoice) -> Self | None:
        """The invoice's wallet, once it has one."""
        wallet = invoice.wallet
        if wallet is None:
            return None
        return cls(
            id=wallet.wallet_id,
            mode=wallet.mode,
            rail=wallet.rail,
            chain_id=wallet.chain_id,
            address=wallet.address,
            memo=wallet.memo,
            accepted_assets=wallet.accepted_assets,
            watch_window_s=wallet.watch_window_s,
            destroyed_at=invoice.wallet_destroyed_at,
        )


class InvoiceSummary(View):
    """An invoice without its lines."""

    id: InvoiceId
    version: int
    number: str | None
    """Given at issue, consecutive."""
    status: InvoiceStatus
    label: str
    """The three axes in plain words."""
    customer_id: CustomerId | None
    reference: str | None
    subtotal: Amount
    discount: Amount
    net: Amount
    tax: Amount
    total: Amount
    received: Amount
    received_micros: int
    due: Amount
    tolerance: ToleranceView
    due_at: AwareDatetime
    payable_until: AwareDatetime | None
    expires_at: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    issued_at: AwareDatetime | None
    reason: str | None
    payment_link: str | None
    wallet: WalletView | None

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        """The invoice as lists show it."""
        return cls(**_summary(invoice))


class TaxView(View):
    """One tax over the whole document."""

    code: str
    name: str
    rate_ppm: int
    included: bool
    compound: bool
    taxable: Amount
    amount: Amount


class LineView(View):
    """One line and what it comes to."""

    description: str
    quantity: str
    unit_price: Amount
    discount: DiscountInput | None
    taxes: Sequence[TaxInput]
    net: Amount
    tax: Amount
    total: Amount

    @classmethod
    def of(cls, invoice: Invoice, line: Line) -> Self:
        """A line of an invoice."""
        return cls(
            description=line.description,
            quantity=line.quantity,
            unit_price=facts.amount(invoice, line.unit_price_minor),
            discount=_discount(line.discount),
            taxes=[
                TaxInput(
                    code=tax.code,
                    name=tax.name,
                    rate_ppm=tax.rate_ppm,
                    included=tax.included,
                    compound=tax.compound,
                )
                for tax in line.taxes
            ],
            net=facts.amount(invoice, line.net_minor),
            tax=facts.amount(invoice, line.tax_minor),
            total=facts.amount(invoice, line.total_minor),
        )


class RecipientView(View):
    """The customer as it was at issue."""

    name: str
    email: str | None
    address: Sequence[str]


class IssuedByView(View):
    """The issuer as it was at issue."""

    name: str
    address: Sequence[str]


class InvoiceView(InvoiceSummary):
    """An invoice with all its parts."""

    lines: Sequence[LineView]
    document_discount: DiscountInput | None
    taxes: Sequence[TaxView]
    issuer: IssuedByView | None
    recipient: RecipientView | None

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        """The invoice; its lines must have been loaded."""
        taxes = [
            TaxView(
                code=part.tax.code,
                name=part.tax.name,
                rate_ppm=part.tax.rate_ppm,
                included=part.tax.included,
                compound=part.tax.compound,
                taxable=facts.amount(invoice, part.taxable.minor),
                amount=facts.amount(invoice, part.amount.minor),
            )
            for part in taxes_of(invoice.terms, invoice.lines)
        ]
        issuer = invoice.parties.issuer if invoice.parties else None
        return cls(
            **_summary(invoice),
            lines=[LineView.of(invoice, line) for line in invoice.lines],
            document_discount=_discount(invoice.terms.discount),
            taxes=taxes,
            issuer=IssuedByView(name=issuer.name, address=issuer.address) if issuer else None,
            recipient=_recipient(invoice),
        )


def _discount(discount: Discount | None) -> DiscountInput | None:
    match discount:
        case None:
            return None
        case PercentOff(rate_ppm):
            return DiscountInput(percent_ppm=rate_ppm)
        case AmountOff(off):
            return DiscountInput(amount_minor=off.minor)


def _recipient(invoice: Invoice) -> RecipientView | None:
    parties, customer_id = invoice.parties, invoice.terms.customer_id
    if parties is None or parties.contact is None or customer_id is None:
        return None
    person = opened(customer_id, parties.contact, parties.postal)
    return RecipientView(name=person.name, email=person.email, address=person.address)


def _summary(invoice: Invoice) -> dict[str, Any]:
    terms, sums = invoice.terms, invoice.sums
    standing = facts.standing(invoice)
    tolerance = ToleranceView(
        percent_ppm=terms.tolerance_ppm, amount=facts.amount(invoice, terms.tolerance_minor)
    )
    return {
        "id": invoice.id,
        "version": invoice.version,
        "number": invoice.number,
        "status": standing["status"],
        "label": invoice.label,
        "customer_id": terms.customer_id,
        "reference": terms.reference,
        "subtotal": facts.amount(invoice, sums.subtotal_minor),
        "discount": facts.amount(invoice, sums.discount_minor),
        "net": facts.amount(invoice, sums.net_minor),
        "tax": facts.amount(invoice, sums.tax_minor),
        "total": standing["total"],
        "received": standing["received"],
        "received_micros": invoice.received_micros,
        "due": standing["due"],
        "tolerance": tolerance,
        "due_at": terms.due_at,
        "payable_until": terms.payable_until,
        "expires_at": invoice.expires_at,
        "created_at": invoice.created_at,
        "updated_at": invoice.updated_at,
        "issued_at": invoice.issued_at,
        "reason": invoice.reason,
        "payment_link": payment_link(invoice),
        "wallet": WalletView.of(invoice),
    }


def payment_link(invoice: Invoice) -> str | None:
    """Address of the page for the payer, once there is one."""
    link = link_for(link_key(), invoice.tenant_id, invoice.id)
    return link_of(link.token) if link.hash == invoice.link_hash else None
