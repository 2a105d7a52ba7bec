"""Rows to the domain's values and back."""

import json
from collections.abc import Sequence
from typing import Any, Final

from invoice.domain.states import (
    Booking,
    BookingState,
    Invoice,
    Issuer,
    Line,
    Parties,
    Payment,
    Sighting,
    Sums,
    Terms,
    Wallet,
)
from invoiceos_contracts import Sealed
from invoiceos_contracts.base import DocumentStatus, SettlementStatus, TimelinessStatus
from money import AmountOff, Discount, Money, PercentOff, Rounding, Tax, TaxRounding, asset

COLUMNS: Final = """
    tenant_id, id, version, document, settlement, timeliness, asset, customer_id, reference,
    due_at, payable_until, terms, subtotal_minor, discount_minor, net_minor, tax_minor,
    total_minor, tolerance_ppm, tolerance_minor, received_micros, attempt, number, link_hash,
    issued_at, overdue_since, expired_since, expires_at, wallet_id, wallet_mode, rail, chain_id,
    address, memo, accepted_assets, watch_window_s, wallet_destroyed_at, issuer, contact, postal,
    reason, created_at, updated_at
"""
"""Columns of `invoice` that `invoice()` reads."""

Row = Any


def invoice(row: Row) -> Invoice:
    """An invoice without lines, payments and bookings."""
    return Invoice(
        tenant_id=row["tenant_id"],
        id=row["id"],
        version=row["version"],
        document=DocumentStatus(row["document"]),
        settlement=SettlementStatus(row["settlement"]),
        timeliness=TimelinessStatus(row["timeliness"]),
        terms=_terms(row),
        sums=Sums(
            row["subtotal_minor"],
            row["discount_minor"],
            row["net_minor"],
            row["tax_minor"],
            row["total_minor"],
        ),
        received_micros=row["received_micros"],
        attempt=row["attempt"],
        number=row["number"],
        link_hash=row["link_hash"],
        issued_at=row["issued_at"],
        overdue_since=row["overdue_since"],
        expired_since=row["expired_since"],
        expires_at=row["expires_at"],
        wallet=_wallet(row),
        wallet_destroyed_at=row["wallet_destroyed_at"],
        parties=_frozen_parties(row),
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _terms(row: Row) -> Terms:
    more = row["terms"]
    return Terms(
        asset=row["asset"],
        customer_id=row["customer_id"],
        reference=row["reference"],
        due_at=row["due_at"],
        payable_until=row["payable_until"],
        discount=discount(more["discount"], row["asset"]),
        tax_rounding=TaxRounding(more["tax_rounding"]),
        rounding=Rounding(more["rounding"]),
        tolerance_ppm=row["tolerance_ppm"],
        tolerance_minor=row["tolerance_minor"],
        mode=more["mode"],
        ttl_s=more["ttl_s"],
        watch_window_s=more["watch_window_s"],
        recurring=more["recurring"],
        instalments=more["instalments"],
        bulk_size=more["bulk_size"],
    )


def _terms_text(terms: Terms) -> str:
    return json.dumps(
        {
            "discount": _discount_object(terms.discount),
            "tax_rounding": terms.tax_rounding,
            "rounding": terms.rounding,
            "mode": terms.mode,
            "ttl_s": terms.ttl_s,
            "watch_window_s": terms.watch_window_s,
            "recurring": terms.recurring,
            "instalments": terms.instalments,
            "bulk_size": terms.bulk_size,
        }
    )


def draft_columns(invoices: Sequence[Invoice]) -> tuple[list[Any], ...]:
    """What the issuer asked for and what it comes to, a list a column."""
    return (
        [invoice.terms.customer_id for invoice in invoices],
        [invoice.terms.reference for invoice in invoices],
        [invoice.terms.due_at for invoice in invoices],
        [invoice.terms.payable_until for invoice in invoices],
        [_terms_text(invoice.terms) for invoice in invoices],
        [invoice.sums.subtotal_minor for invoice in invoices],
        [invoice.sums.discount_minor for invoice in invoices],
        [invoice.sums.net_minor for invoice in invoices],
        [invoice.sums.tax_minor for invoice in invoices],
        [invoice.sums.total_minor for invoice in invoices],
        [invoice.terms.tolerance_ppm for invoice in invoices],
        [invoice.terms.tolerance_minor for invoice in invoices],
    )


def _wallet(row: Row) -> Wallet | None:
    if row["wallet_id"] is None:
        return None
    return Wallet(
        wallet_id=row["wallet_id"],
        mode=row["wallet_mode"],
        rail=row["rail"],
        chain_id=row["chain_id"],
        address=row["address"],
        memo=row["memo"],
        accepted_assets=tuple(row["accepted_assets"]),
        watch_window_s=row["watch_window_s"],
    )


def _frozen_parties(row: Row) -> Parties | None:
    if row["issuer"] is None:
        return None
    issuer = row["issuer"]
    return Parties(
        Issuer(issuer["name"], tuple(issuer["address"])),
        sealed(row["contact"]),
        sealed(row["postal"]),
    )


def parties(row: Row) -> Parties:
    """Issuer and customer as they are now."""
    issuer = Issuer() if row["name"] is None else Issuer(row["name"], tuple(row["address"]))
    return Parties(issuer, sealed(row["contact"]), sealed(row["postal"]), bool(row["has_email"]))


def sealed(value: Any) -> Sealed | None:
    """A sealed value, or None."""
    return None if value is None else Sealed(**value)


def sealed_text(value: Sealed | None) -> str | None:
    """A sealed value as JSON text."""
    return None if value is None else value.model_dump_json()


def issuer_text(issuer: Issuer) -> str:
    """An issuer as JSON text."""
    return json.dumps({"name": issuer.name, "address": issuer.address})


def line(row: Row, code: str) -> Line:
    """One line of an invoice in this asset."""
    return Line(
        description=row["description"],
        quantity=row["quantity"],
        unit_price_minor=row["unit_price_minor"],
        discount=discount(row["discount"], code),
        taxes=tuple(Tax(**tax) for tax in row["taxes"]),
        net_minor=row["net_minor"],
        tax_minor=row["tax_minor"],
        total_minor=row["total_minor"],
    )


def discount(value: Any, code: str) -> Discount | None:
    """A discount from its JSON object."""
    if value is None:
        return None
    if "percent_ppm" in value:
        return PercentOff(value["percent_ppm"])
    return AmountOff(Money(value["amount_minor"], asset(code)))


def _discount_object(value: Discount | None) -> dict[str, int] | None:
    match value:
        case None:
            return None
        case PercentOff(rate_ppm):
            return {"percent_ppm": rate_ppm}
        case AmountOff(off):
            return {"amount_minor": off.minor}


def discount_text(value: Discount | None) -> str | None:
    """A discount as JSON text."""
    return None if value is None else json.dumps(_discount_object(value))


def taxes_text(taxes: Sequence[Tax]) -> str:
    """Taxes as JSON text."""
    return json.dumps(
        [
            {
                "code": tax.code,
                "name": tax.name,
                "rate_ppm": tax.rate_ppm,
                "included": tax.included,
                "compound": tax.compound,
            }
            for tax in taxes
        ]
    )


def payment(row: Row) -> Payment:
    """One payment on its way."""
    return Payment(
        row["payment_id"],
        Sighting(row["sighting"]),
        row["final_reverts"],
        row["amount_minor"],
        row["asset"],
    )


def booking(row: Row) -> Booking:
    """One booking of the ledger."""
    return Booking(
        row["transaction_id"],
        row["payment_id"],
        BookingState(row["state"]),
        row["amount_minor"],
        row["asset"],
        row["micros"],
        row["booked_at"],
    )
