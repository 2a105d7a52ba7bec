"""The partner's door: what a partner may ask for by topic, and what becomes of it.

A partner writes `InvoiceRequest` to `partner.<name>.requests.v1`. The gateway lets it in as the
fact `InvoiceRequested`, with the tenant of the partner whose topic it came by, or turns it away
with `InvoiceRequestRejected`. The invoice service answers `InvoiceRequestAccepted` or
`InvoiceRequestRefused`. Those three reach `partner.<name>.outcomes.v1` as they were stated.
"""

import re
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StrictBool

from invoiceos_contracts.base import (
    MAX_MINOR,
    AssetCode,
    Document,
    Event,
    Sealed,
    Shape,
    WalletMode,
)
from invoiceos_contracts.ids import CustomerId, InvoiceId, InvoiceRequestId, PartnerName, TenantId

WEEK_S = 7 * 24 * 3600
YEAR_S = 366 * 24 * 3600
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _written_out(value: object) -> object:
    """Refuse numbers and loose forms, which would else be read as times."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    message = "a time is text such as 2030-01-31T12:00:00Z"
    raise ValueError(message)


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
ShortText = Annotated[str, Field(strict=True, min_length=1, max_length=200)]
LongText = Annotated[str, Field(strict=True, min_length=1, max_length=2000)]
EmailAddress = Annotated[
    str,
    Field(
        strict=True,
        min_length=3,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
        r"@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$",
    ),
]
Minor = Annotated[int, Field(strict=True, ge=0, le=MAX_MINOR)]
Ppm = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
TaxRounding = Literal["per_line", "per_document"]
Rounding = Literal["half_up", "half_even", "up", "down", "floor", "ceiling"]


class RequestedDiscount(Shape):
    """A share of the amount or a fixed amount: one of the two."""

    UNSAID: ClassVar[frozenset[str]] = frozenset({"percent_ppm"})

    percent_ppm: Ppm | None = None
    """Parts per million: 100000 is 10 %."""
    amount_minor: Minor | None = None
    """In the invoice's asset."""


class RequestedTax(Shape):
    """One tax of a line."""

    code: Annotated[ShortText, Field(max_length=64)]
    name: Annotated[ShortText, Field(max_length=128)]
    rate_ppm: Annotated[int, Field(strict=True, ge=0, le=10_000_000)]
    """Parts per million: 190000 is 19 %."""
    included: StrictBool = False
    """The price contains the tax."""
    compound: StrictBool = False
    """Charged on the net and on the taxes before it."""


class RequestedLine(Shape):
    """One line as sold."""

    description: LongText
    quantity: Annotated[str, Field(strict=True, max_length=20, examples=["1.5"])]
    """Plain decimal, at most six decimals, more than zero."""
    unit_price_minor: Minor
    """In the invoice's asset."""
    discount: RequestedDiscount | None = None
    taxes: Annotated[tuple[RequestedTax, ...], Field(max_length=8)] = ()


class RequestedTolerance(Shape):
    """How much may be missing from a payment in full: the larger of the two."""

    percent_ppm: Annotated[int, Field(strict=True, ge=0, le=50_000)] = 0
    """Of the total, in parts per million; at most 5 %."""
    amount_minor: Minor = 0
    """In the invoice's asset; less than the total."""


class RequestedWallet(Shape):
    """What is wished of the wallet; the mode selector has the last word."""

    mode: WalletMode | None = None
    ttl_s: Annotated[int, Field(strict=True, ge=1, le=10 * YEAR_S)] | None = None
    """Seconds from issue until it expires; a week beyond the due date where not given."""
    watch_window_s: Annotated[int, Field(strict=True, ge=1, le=YEAR_S)] = WEEK_S
    """Seconds it is watched for late money before it is destroyed."""


class RequestedSelection(Shape):
    """What helps the selector to choose the wallet's mode."""

    recurring: StrictBool = False
    instalments: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    bulk_size: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 1


class RequestedCustomer(Shape):
    """A customer to bill, stored as a new one."""

    name: ShortText
    email: EmailAddress | None = None
    address: Annotated[tuple[ShortText, ...], Field(max_length=8)] = ()
    reference: ShortText | None = None
    """The issuer's own name for the customer; not personal, and may be searched for."""


class InvoiceTerms(Shape):
    """The invoice that is asked for, with nothing personal in it; as in `POST /api/v1/invoices`."""

    UNSAID: ClassVar[frozenset[str]] = frozenset({"customer_id", "payable_until"})

    customer_id: CustomerId | None = None
    asset: AssetCode
    """Currency or token of every amount in this body."""
    reference: ShortText | None = None
    due_at: Moment
    payable_until: Moment | None = None
    """When the wallet expires; instead of wallet.ttl_s."""
    lines: Annotated[tuple[RequestedLine, ...], Field(min_length=1, max_length=1000)]
    discount: RequestedDiscount | None = None
    tax_rounding: TaxRounding = "per_line"
    rounding: Rounding = "half_up"
    tolerance: RequestedTolerance = RequestedTolerance()
    wallet: RequestedWallet = RequestedWallet()
    selector: RequestedSelection = RequestedSelection()
    draft: StrictBool = False
    """Leave it a draft; else it is issued at once."""


class InvoiceRequest(InvoiceTerms):
    """Please make this invoice: the one thing a partner may write.

    The header `ce_id` is the request's id, chosen by the partner: the same id with the same body
    is the same request, however often it is written.
    """

    TYPE: ClassVar[str] = "partner.invoice_requested.v1"
    """No type of the platform's own may be written by a partner; theirs begin differently."""
    UNSAID: ClassVar[frozenset[str]] = InvoiceTerms.UNSAID | {"tenant_id"}

    customer: RequestedCustomer | None = None
    """Stored as a new customer; instead of customer_id."""
    tenant_id: TenantId | None = None
    """Best left out: whose invoice it is follows from the topic. One that differs is refused."""


class RequestProblem(Shape):
    """One thing that is wrong with a request, and where."""

    pointer: str
    """JSON Pointer into the body, such as `/lines/0/quantity`; empty for the body as a whole."""
    code: str
    message: str


class RecordPlace(Shape):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class InvoiceRequestEvent(Event):
    """Belongs to the history of one request of one partner."""

    KEY: ClassVar[tuple[str, str]] = ("invoice_request_id", "req")

    invoice_request_id: InvoiceRequestId
    """Ours: follows from the partner and its id of the request."""
    partner: PartnerName


class InvoiceRequested(InvoiceRequestEvent):
    """A partner asked for an invoice, and the gateway vouches for whose it is."""

    TYPE: ClassVar[str] = "invoiceos.invoice_request.requested.v1"
    TOPIC: ClassVar[str] = "invoiceos.partner.v1"
    OWNER: ClassVar[str] = "gateway"
    SENSITIVE: ClassVar[frozenset[str]] = frozenset({"customer"})

    request_id: str
    """The partner's own id of the request, from `ce_id`."""
    invoice: InvoiceTerms
    customer: Sealed | None
    """A customer given inline, as `RequestedCustomer`, sealed."""


class InvoiceRequestRejected(InvoiceRequestEvent):
    """A record was turned away at the door: it is no request that could be answered."""

    TYPE: ClassVar[str] = "invoiceos.invoice_request.rejected.v1"
    TOPIC: ClassVar[str] = "invoiceos.partner.v1"
    OWNER: ClassVar[str] = "gateway"

    request_id: str | None
    """The partner's own id of the request; None where it cannot be read."""
    code: str
    """Stable; which of the door's rules was broken."""
    detail: str
    problems: tuple[RequestProblem, ...]
    where: RecordPlace


class InvoiceRequestAccepted(InvoiceRequestEvent):
    """The invoice was made; what becomes of it are facts of the invoice."""

    TYPE: ClassVar[str] = "invoiceos.invoice_request.accepted.v1"
    TOPIC: ClassVar[str] = "invoiceos.invoice-request.v1"
    OWNER: ClassVar[str] = "invoice"

    request_id: str
    invoice_id: InvoiceId
    number: str | None
    """Given when the invoice opens; `InvoiceIssued` tells it."""
    status: Document


class InvoiceRequestRefused(InvoiceRequestEvent):
    """No invoice was made: the request breaks a rule of invoices."""

    TYPE: ClassVar[str] = "invoiceos.invoice_request.refused.v1"
    TOPIC: ClassVar[str] = "invoiceos.invoice-request.v1"
    OWNER: ClassVar[str] = "invoice"

    request_id: str
    code: str
    """Stable; the same as the REST API's."""
    detail: str
    problems: tuple[RequestProblem, ...]
