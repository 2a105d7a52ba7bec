"""What people send: strict, bounded, in the vocabulary of the events."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StrictBool,
    model_validator,
)

from chassis.inputs import EmailAddress, Input, LongText, ShortText
from invoice.commands.create_customers import NewPerson
from invoice.domain.states import Issuer, Line, Terms
from invoice.errors import Unacceptable
from invoiceos_contracts.base import MAX_MINOR, AssetCode, WalletMode
from invoiceos_contracts.ids import CustomerId
from money import (
    AmountOff,
    Discount,
    Money,
    MoneyError,
    PercentOff,
    Quantity,
    Rounding,
    Tax,
    TaxRounding,
    asset,
)

EditedTerms = tuple[Mapping[str, Any], tuple[Line, ...] | None]
LINES_MAX = 1000
TAXES_MAX = 8
WEEK_S = 7 * 24 * 3600
YEAR_S = 366 * 24 * 3600
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_YEARS = range(2000, 2200)


def _written_out(value: object) -> object:
    """Refuse numbers and loose forms, which would else be read as times."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        message = "a time is text such as 2030-01-31T12:00:00Z"
        raise ValueError(message)
    return value


def _in_our_times(value: Any) -> Any:
    if value.year not in _YEARS:
        message = "a time lies between the years 2000 and 2199"
        raise ValueError(message)
    return value


def _quantity(text: str) -> str:
    if Quantity.parse(text).units == 0:
        message = "a quantity is more than zero"
        raise ValueError(message)
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_our_times)]
Minor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]
QuantityText = Annotated[
    str, Field(strict=True, max_length=20, examples=["1.5"]), AfterValidator(_quantity)
]
Ppm = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Address = Annotated[tuple[ShortText, ...], Field(max_length=8)]


class NewCustomer(Input):
    """A customer to bill."""

    name: ShortText
    email: EmailAddress | None = None
    address: Address = ()
    reference: ShortText | None = None
    """The issuer's own name for the customer; not personal, and may be searched for."""

    def person(self) -> NewPerson:
        """The customer in clear."""
        return NewPerson(self.name, self.email, self.address, self.reference)


class Changes(Input):
    """A body that names what is to change; a field that is not named stays as it is."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None and name not in self.nullable():
                message = f"{name} cannot be null"
                raise ValueError(message)
        return self

    @classmethod
    def nullable(cls) -> frozenset[str]:
        """Fields that null empties."""
        return frozenset()


class CustomerChanges(Changes):
    """What to change of a customer; null empties email and reference."""

    name: ShortText | None = None
    email: EmailAddress | None = None
    address: Address | None = None
    reference: ShortText | None = None

    @classmethod
    def nullable(cls) -> frozenset[str]:
        """Fields that null empties."""
        return frozenset({"email", "reference"})


class DiscountInput(Input):
    """A share of the amount or a fixed amount: one of the two."""

    percent_ppm: Ppm | None = None
    """Parts per million: 100000 is 10 %."""
    amount_minor: Minor | None = None
    """In the invoice's asset."""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.percent_ppm is None) == (self.amount_minor is None):
            message = "give either percent_ppm or amount_minor"
            raise ValueError(message)
        return self

    def discount(self, code: str) -> Discount:
        """As the calculator takes it."""
        if self.percent_ppm is not None:
            return PercentOff(self.percent_ppm)
        return AmountOff(Money(self.amount_minor or 0, asset(code)))


class TaxInput(Input):
    """One tax of a line."""

    code: Annotated[ShortText, Field(max_length=64)]
    name: Annotated[ShortText, Field(max_length=128)]
    rate_ppm: Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
    """Parts per million: 190000 is 19 %."""
    included: StrictBool = False
    """The price contains the tax."""
    compound: StrictBool = False
    """Charged on the net and on the taxes before it."""


class LineInput(Input):
    """One line as sold."""

    description: LongText
    quantity: QuantityText
    """Plain decimal, at most six decimals, more than zero."""
    unit_price_minor: Minor
    """In the invoice's asset."""
    discount: DiscountInput | None = None
    taxes: Annotated[tuple[TaxInput, ...], Field(max_length=TAXES_MAX)] = ()

    def line(self, code: str) -> Line:
        """As the domain takes it."""
        return Line(
            self.description,
            self.quantity,
            self.unit_price_minor,
            self.discount.discount(code) if self.discount else None,
            tuple(Tax(**tax.model_dump()) for tax in self.taxes),
        )


class ToleranceInput(Input):
    """How much may be missing from a payment in full: the larger of the two."""

    percent_ppm: Annotated[int, Field(strict=True, ge=0, le=50_000)] = 0
    """Of the total, in parts per million; at most 5 %."""
    amount_minor: Minor = 0
    """In the invoice's asset; less than the total."""


class WalletInput(Input):
    """What is wished of the wallet; the mode selector has the last word."""

    mode: WalletMode | None = None
    ttl_s: Annotated[int, Field(strict=True, ge=1, le=10 * YEAR_S)] | None = None
    """Seconds from issue until it expires; a week beyond the due date where not given."""
    watch_window_s: Annotated[int, Field(strict=True, ge=1, le=YEAR_S)] = WEEK_S
    """Seconds it is watched for late money before it is destroyed."""


class SelectorFacts(Input):
    """What helps the selector to choose the wallet's mode."""

    recurring: StrictBool = False
    instalments: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    bulk_size: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1


LineInputs = Annotated[tuple[LineInput, ...], Field(min_length=1, max_length=LINES_MAX)]


class NewInvoice(Input):
    """An invoice to draft, and to issue at once with `issue`."""

    customer_id: CustomerId | None = None
    customer: NewCustomer | None = None
    """Stored as a new customer; instead of customer_id."""
    asset: AssetCode
    """Currency or token of every amount in this body."""
    reference: ShortText | None = None
    due_at: Moment
    payable_until: Moment | None = None
    """When the wallet expires; instead of wallet.ttl_s."""
    lines: LineInputs
    discount: DiscountInput | None = None
    tax_rounding: TaxRounding = TaxRounding.PER_LINE
    rounding: Rounding = Rounding.HALF_UP
    tolerance: ToleranceInput = ToleranceInput()
    wallet: WalletInput = WalletInput()
    selector: SelectorFacts = SelectorFacts()
    issue: StrictBool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.customer_id is not None and self.customer is not None:
            message = "give either customer_id or customer"
            raise ValueError(message)
        if self.payable_until is not None and self.wallet.ttl_s is not None:
            message = "give either payable_until or wallet.ttl_s"
            raise ValueError(message)
        return self

    def draft(self) -> tuple[Terms, tuple[Line, ...]]:
        """As the domain takes it; raises `Unacceptable`."""
        try:
            asset(self.asset)
            terms = Terms(
                asset=self.asset,
                customer_id=self.customer_id,
                reference=self.reference,
                due_at=self.due_at,
                payable_until=self.payable_until,
                rounding=self.rounding,
                tax_rounding=self.tax_rounding,
                discount=self.discount.discount(self.asset) if self.discount else None,
                tolerance_ppm=self.tolerance.percent_ppm,
                tolerance_minor=self.tolerance.amount_minor,
                **self.wallet.model_dump(),
                **self.selector.model_dump(),
            )
            return terms, tuple(line.line(self.asset) for line in self.lines)
        except MoneyError as error:
            raise Unacceptable(error) from error


class InvoiceChanges(Changes):
    """What to change of a draft. The asset stays: amounts would change their meaning with it."""

    customer_id: CustomerId | None = None
    reference: ShortText | None = None
    due_at: Moment | None = None
    payable_until: Moment | None = None
    lines: LineInputs | None = None
    discount: DiscountInput | None = None
    tax_rounding: TaxRounding | None = None
    rounding: Rounding | None = None
    tolerance: ToleranceInput | None = None
    wallet: WalletInput | None = None
    selector: SelectorFacts | None = None

    @classmethod
    def nullable(cls) -> frozenset[str]:
        """Fields that null empties."""
        return frozenset({"customer_id", "reference", "payable_until", "discount"})

    def changes(self, code: str) -> EditedTerms:
        """The terms and lines to change, read in this asset; raises `MoneyError`."""
        plain = ("customer_id", "reference", "due_at", "payable_until", "tax_rounding", "rounding")
        found: dict[str, Any] = {
            name: getattr(self, name) for name in plain if name in self.model_fields_set
        }
        if "discount" in self.model_fields_set:
            found["discount"] = self.discount.discount(code) if self.discount else None
        if self.tolerance is not None:
            found["tolerance_ppm"] = self.tolerance.percent_ppm
            found["tolerance_minor"] = self.tolerance.amount_minor
        for part in (self.wallet, self.selector):
            found |= part.model_dump() if part is not None else {}
        lines = tuple(line.line(code) for line in self.lines) if self.lines is not None else None
        return found, lines


class VoidReason(Input):
    """Why an invoice is called off."""

    reason: ShortText


class IssuerInput(Input):
    """Who issues the tenant's invoices, as customers read it."""

    name: ShortText
    address: Address = ()

    def issuer(self) -> Issuer:
        """As the domain takes it."""
        return Issuer(self.name, self.address)
