"""What the holder of a payment link sees: as data, and as a page that works without scripts."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, Self

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import AwareDatetime

from invoice.api.views import View
from invoice.domain import facts
from invoice.domain.states import SETTLED, D, Invoice, T
from invoiceos_contracts import Amount
from invoiceos_contracts.base import AssetCode
from invoiceos_contracts.invoice_v1 import InvoiceStatus
from money import Money, asset

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action "
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"{_POLICY}'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of every answer to a holder of a link."""
_SOURCE = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:[0-9]{1,5})?")
METHODS = {"card": "Pay by card", "paypal": "Pay with PayPal"}
"""The ways that a page knows to offer, in their order, and what their buttons say."""
NEWS = {
    "back": "If you have paid, this page says so as soon as it is confirmed.",
    "failed": "The payment could not be begun. Nothing was taken. You can try again.",
    "slow": "This takes longer than usual. Press the button again in a moment: you pay once.",
    "payment_link_not_found": "This is not ready yet. Press the button again in a moment.",
    "payment_under_way": "A payment of this invoice is being confirmed. Do not pay again.",
    "method_not_offered": "This invoice cannot be paid in that way.",
    "method_not_allowed": "The seller does not take this way of paying for this invoice.",
    "partial_not_allowed": "The seller takes this invoice as a whole only. Reload the page.",
    "invoice_not_payable": "This invoice takes no payment now.",
    "too_many_tries": "This was begun too often today. Send the money to the address, or wait.",
}
"""What somebody who was sent here is told, by the word in the address."""
REFRESH_S = 20
"""How often the page looks for news in a browser without scripts."""
_MEDIA = {"css": "text/css", "js": "text/javascript"}
_TEMPLATES = Environment(
    loader=PackageLoader("invoice", "api/pay_files"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class PaymentInstructions(View):
    """How an invoice is paid; nothing in it names the customer."""

    issuer_name: str
    number: str
    status: InvoiceStatus
    label: str
    payable: bool
    """Whether money is asked for now; false once settled, expired, void or closed."""
    total: Amount
    received: Amount
    due: Amount
    due_at: AwareDatetime
    expires_at: AwareDatetime
    rail: str
    chain_id: int | None
    address: str
    memo: str | None
    accepted_assets: Sequence[AssetCode]
    methods: Sequence[str]
    """Other ways to pay what is due, on a provider's page: card, paypal; more may come."""

    @classmethod
    def of(cls, invoice: Invoice, methods: Iterable[str] = ()) -> Self:
        """Instructions for an invoice that has been issued, which can be paid in these ways too."""
        wallet, parties = invoice.wallet, invoice.parties
        assert wallet is not None
        assert parties is not None
        assert invoice.number is not None
        assert invoice.expires_at is not None
        standing = facts.standing(invoice)
        return cls(
            issuer_name=parties.issuer.name,
            number=invoice.number,
            status=standing["status"],
            label=invoice.label,
            payable=_is_payable(invoice),
            total=standing["total"],
            received=standing["received"],
            due=standing["due"],
            due_at=invoice.terms.due_at,
            expires_at=invoice.expires_at,
            rail=wallet.rail,
            chain_id=wallet.chain_id,
            address=wallet.address,
            memo=wallet.memo,
            accepted_assets=wallet.accepted_assets,
            methods=[name for name in METHODS if name in methods] if _is_payable(invoice) else [],
        )


class PaymentLinkState(View):
    """Whether anything has changed for the holder of a link."""

    state: str
    """Changes whenever the page does."""
    payable: bool


def _is_payable(invoice: Invoice) -> bool:
    return (
        invoice.document is D.OPEN
        and not invoice.is_settled
        and invoice.timeliness is not T.EXPIRED
        and invoice.wallet_destroyed_at is None
    )


def state_of(shown: PaymentInstructions) -> str:
    """A word that changes whenever the page would look different."""
    standing = (shown.status, shown.label, shown.payable, shown.received, shown.due, shown.methods)
    return hashlib.sha256(f"{standing} {shown.expires_at}".encode()).hexdigest()[:16]


def headers_for(pages: Iterable[str]) -> dict[str, str]:
    """Of a page whose forms lead to us, and from us to these pages of providers."""
    known = sorted(one for one in pages if _SOURCE.fullmatch(one))
    return {**HEADERS, "Content-Security-Policy": " ".join([f"{_POLICY}'self'", *known])}


def page(shown: PaymentInstructions, token: str, news: str = "") -> str:
    """The page, in HTML; the address appears only while money is asked for."""
    return _rendered(
        "invoice.html",
        title=f"Invoice {shown.number}",
        watch=f"/api/v1/payment-links/{token}/state",
        state=state_of(shown),
        refresh_s=REFRESH_S if shown.payable else 0,
        shown=shown,
        settled=shown.status.settlement in SETTLED,
        pay_with=f"/pay/with/{token}",
        buttons=[(name, METHODS[name]) for name in shown.methods],
        news=NEWS.get(news) if shown.payable else None,
        qr=_qr(shown.address) if shown.payable and shown.chain_id is not None else None,
        total=_text(shown.total),
        received=_text(shown.received),
        due=_text(shown.due),
        until=f"{shown.expires_at:%Y-%m-%d %H:%M}",
    )


def missing_page() -> str:
    """The page of a link that leads nowhere."""
    return _rendered("missing.html", title="Payment link", watch=None, state="", refresh_s=0)


@cache
def assets() -> Mapping[str, tuple[bytes, str]]:
    """Style and script by the names they are asked for, which change with what is in them."""
    folder = files("invoice") / "api" / "pay_files"
    found = {}
    for ending, media in _MEDIA.items():
        content = folder.joinpath(f"pay.{ending}").read_bytes()
        found[f"pay.{hashlib.sha256(content).hexdigest()[:12]}.{ending}"] = content, media
    return found


def _rendered(template: str, **words: Any) -> str:
    names = SimpleNamespace(**{name.rpartition(".")[2]: name for name in assets()})
    return _TEMPLATES.get_template(template).render(assets=names, **words)


def _qr(address: str) -> Markup:
    """The address as a QR code; drawn here, so that no one else learns of it."""
    code = segno.make(address, error="m", boost_error=False)
    drawing = code.svg_inline(scale=4, border=3, title="Address as QR code", omitsize=True)
    return Markup(drawing)  # noqa: S704 - made by segno of an address, not of a payer's text


def _text(amount: Amount) -> str:
    unit = asset(amount.asset)
    return f"{Money(amount.amount_minor, unit).to_decimal_string()} {unit.code}"
