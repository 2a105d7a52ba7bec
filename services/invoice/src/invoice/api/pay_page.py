"""What the holder of a payment link sees: as data, and as a page that works without scripts."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Self

from pydantic import AwareDatetime

from invoice.api.views import View
from invoice.domain import facts
from invoice.domain.states import D, Invoice, T
from invoiceos_contracts import Amount
from invoiceos_contracts.base import AssetCode
from invoiceos_contracts.invoice_v1 import InvoiceStatus
from money import Money, asset

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1.25rem}
h1{font-size:1.1rem;font-weight:600;margin:0}
.due{font-size:2.2rem;font-weight:700;margin:.5rem 0}
.label{border:1px solid;border-radius:1rem;display:inline-block;padding:.1rem .8rem}
dt{font-size:.85rem;margin-top:1rem;opacity:.75}
dd{margin:0}
code{display:block;font-size:1rem;overflow-wrap:anywhere;user-select:all}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of every answer to a holder of a link."""


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

    @classmethod
    def of(cls, invoice: Invoice) -> Self:
        """Instructions for an invoice that has been issued."""
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
        )


def _is_payable(invoice: Invoice) -> bool:
    return (
        invoice.document is D.OPEN
        and not invoice.is_settled
        and invoice.timeliness is not T.EXPIRED
        and invoice.wallet_destroyed_at is None
    )


def page(shown: PaymentInstructions) -> str:
    """The page, in HTML; the address appears only while money is asked for."""
    rows = [("Total", _text(shown.total)), ("Received", _text(shown.received))]
    rows.append(("Due date", f"{shown.due_at:%Y-%m-%d}"))
    if shown.payable:
        chain = f" (chain {shown.chain_id})" if shown.chain_id is not None else ""
        rows += [
            ("Pay with", ", ".join(shown.accepted_assets)),
            ("Network", f"{shown.rail}{chain}"),
            ("Address", shown.address),
            ("Payable until", f"{shown.expires_at:%Y-%m-%d %H:%M} UTC"),
        ]
        if shown.memo is not None:
            rows.append(("Memo (send it with the payment)", shown.memo))
    else:
        rows.append(("Payment", "This invoice takes no payment now. Do not send money."))
    return _document(
        f"Invoice {shown.number}",
        f"<h1>{escape(shown.issuer_name)} &middot; {escape(shown.number)}</h1>"
        f'<p class="due">{escape(_text(shown.due))}</p>'
        f'<p class="label">{escape(shown.label)}</p>'
        f"<dl>{''.join(_row(name, value) for name, value in rows)}</dl>",
    )


def missing_page() -> str:
    """The page of a link that leads nowhere."""
    return _document("Payment link", "<h1>There is no such payment link</h1>")


def _row(name: str, value: str) -> str:
    coded = name == "Address" or name.startswith("Memo")
    shown = f"<code>{escape(value)}</code>" if coded else escape(value)
    return f"<dt>{escape(name)}</dt><dd>{shown}</dd>"


def _text(amount: Amount) -> str:
    unit = asset(amount.asset)
    return f"{Money(amount.amount_minor, unit).to_decimal_string()} {unit.code}"


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
