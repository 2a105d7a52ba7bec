"""HTTP: customers, invoices, the issuer's profile, and payment links for people without a token."""

import re
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from chassis.auth import Caller, needs
from chassis.http import (
    Cursor,
    ExpectedVersion,
    Limit,
    Page,
    Reading,
    Writing,
    after,
    etag,
    page,
)
from chassis.inputs import ShortText
from chassis.strict_json import StrictRoute
from invoice import queries
from invoice.api import pay_page
from invoice.api.pay_page import PaymentInstructions, PaymentLinkState
from invoice.api.views import CustomerView, InvoiceSummary, InvoiceView, IssuerView
from invoice.commands.bodies import (
    CustomerChanges,
    InvoiceChanges,
    IssuerInput,
    Moment,
    NewCustomer,
    NewInvoice,
    VoidReason,
)
from invoice.commands.create_customers import CreateCustomer, create_customers
from invoice.commands.create_invoices import CreateInvoice, create_invoices
from invoice.commands.delete_drafts import DeleteDraft, delete_drafts
from invoice.commands.edit_customers import EditCustomer, edit_customers
from invoice.commands.edit_drafts import EditDraft, edit_drafts
from invoice.commands.issue_invoices import IssueInvoice, issue_invoices
from invoice.commands.put_issuer_profiles import PutIssuerProfile, put_issuer_profiles
from invoice.commands.void_invoices import VoidInvoice, void_invoices
from invoice.domain import facts
from invoice.domain.links import read_token
from invoice.domain.states import Invoice
from invoice.domain.totals import work_out
from invoice.errors import PaymentLinkNotFound
from invoice.store.methods import methods_for
from invoice.store.parties import Customer, Profile
from invoiceos_contracts.base import DocumentStatus, SettlementStatus, TimelinessStatus
from invoiceos_contracts.ids import CustomerId, InvoiceId
from messaging import Database

router = APIRouter(route_class=StrictRoute)

CustomerReader = Annotated[Caller, Depends(needs("customers:read"))]
CustomerWriter = Annotated[Caller, Depends(needs("customers:write"))]
InvoiceReader = Annotated[Caller, Depends(needs("invoices:read"))]
InvoiceWriter = Annotated[Caller, Depends(needs("invoices:write"))]

WAIT_MAX_S = 30
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*([0-9]{1,6})(?=$|[,;\s])", re.IGNORECASE)


def _version_of(item: Invoice | Customer | Profile) -> dict[str, str]:
    return etag(item.version)


# -- customers ---------------------------------------------------------------------------------


@router.post("/api/v1/customers", status_code=201, response_model=CustomerView)
async def post_customer(caller: CustomerWriter, body: NewCustomer, write: Writing) -> Response:
    """Store a customer; name, e-mail and address are sealed under a key of its own."""
    request = CreateCustomer(caller.tenant_id, body.person())
    return await write(
        create_customers, request, answer=CustomerView.of, status=201, headers=_version_of
    )


@router.get("/api/v1/customers", response_model=Page[CustomerView])
async def get_customers(
    caller: CustomerReader,
    tx: Reading,
    limit: Limit = 50,
    cursor: Cursor = None,
    reference: Annotated[ShortText | None, Query()] = None,
) -> dict[str, Any]:
    """Customers, the newest first."""
    found = await queries.customers(
        tx, caller.tenant_id, reference=reference, after=after(cursor), limit=limit + 1
    )
    return page([CustomerView.of(customer) for customer in found], limit, lambda view: view.id)


@router.get("/api/v1/customers/{customer_id}", response_model=CustomerView)
async def get_customer(
    customer_id: CustomerId, caller: CustomerReader, tx: Reading, response: Response
) -> CustomerView:
    """One customer."""
    customer = await queries.customer_by_id(tx, caller.tenant_id, customer_id)
    response.headers.update(_version_of(customer))
    return CustomerView.of(customer)


@router.patch("/api/v1/customers/{customer_id}", response_model=CustomerView)
async def patch_customer(
    customer_id: CustomerId,
    caller: CustomerWriter,
    body: CustomerChanges,
    version: ExpectedVersion,
    write: Writing,
) -> Response:
    """Change a customer; invoices that were issued keep what was true then."""
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    request = EditCustomer(caller.tenant_id, customer_id, changes, version)
    return await write(edit_customers, request, answer=CustomerView.of, headers=_version_of)


# -- issuer ------------------------------------------------------------------------------------


@router.get("/api/v1/issuer-profile", response_model=IssuerView)
async def get_issuer_profile(caller: InvoiceReader, tx: Reading) -> IssuerView:
    """How the tenant is named on its invoices."""
    return IssuerView.of(await queries.issuer_profile(tx, caller.tenant_id))


@router.put("/api/v1/issuer-profile", response_model=IssuerView)
async def put_issuer_profile(caller: InvoiceWriter, body: IssuerInput, write: Writing) -> Response:
    """Say how the tenant is named on invoices issued from now on."""
    request = PutIssuerProfile(caller.tenant_id, body.issuer())
    return await write(put_issuer_profiles, request, answer=IssuerView.of, headers=_version_of)


# -- invoices ----------------------------------------------------------------------------------


@router.post("/api/v1/invoices", status_code=201, response_model=InvoiceView)
async def post_invoice(
    request: Request, caller: InvoiceWriter, body: NewInvoice, write: Writing
) -> Response:
    """Draft an invoice; with `issue` it is issued in the same transaction.

    `Prefer: wait=N` then holds the answer until it is open. A repeated Idempotency-Key gives the
    answer as it was at the commit, without waiting.
    """
    if body.customer is not None:
        caller.require("customers:write")
    worked = work_out(*body.draft())
    person = body.customer.person() if body.customer else None
    create = CreateInvoice(caller.tenant_id, worked, person, body.issue)
    given = await write(
        create_invoices, create, answer=InvoiceView.of, status=201, headers=_version_of
    )
    return await _held(request, caller, given) if body.issue else given


class InvoiceQuery:
    """Filters of the list; times are `..._after` (inclusive) and `..._before`."""

    def __init__(
        self,
        document: DocumentStatus | None = None,
        settlement: SettlementStatus | None = None,
        timeliness: TimelinessStatus | None = None,
        customer_id: CustomerId | None = None,
        reference: Annotated[ShortText | None, Query()] = None,
        number: Annotated[ShortText | None, Query()] = None,
        due_before: Annotated[Moment | None, Query()] = None,
        due_after: Annotated[Moment | None, Query()] = None,
        created_before: Annotated[Moment | None, Query()] = None,
        created_after: Annotated[Moment | None, Query()] = None,
    ) -> None:
        """Read them from the query."""
        self.filter = queries.InvoiceFilter(
            document=document,
            settlement=settlement,
            timeliness=timeliness,
            customer_id=customer_id,
            reference=reference,
            number=number,
            due_before=due_before,
            due_after=due_after,
            created_before=created_before,
            created_after=created_after,
        )


@router.get("/api/v1/invoices", response_model=Page[InvoiceSummary])
async def get_invoices(
    caller: InvoiceReader,
    tx: Reading,
    wanted: Annotated[InvoiceQuery, Depends()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Invoices, the newest first."""
    found = await queries.invoices(
        tx, caller.tenant_id, wanted.filter, after=after(cursor), limit=limit + 1
    )
    return page([InvoiceSummary.of(invoice) for invoice in found], limit, lambda view: view.id)


@router.get("/api/v1/invoices/{invoice_id}", response_model=InvoiceView)
async def get_invoice(
    invoice_id: InvoiceId, caller: InvoiceReader, tx: Reading, response: Response
) -> InvoiceView:
    """One invoice with its lines."""
    invoice = await queries.invoice_by_id(tx, caller.tenant_id, invoice_id)
    response.headers.update(_version_of(invoice))
    return InvoiceView.of(invoice)


@router.patch("/api/v1/invoices/{invoice_id}", response_model=InvoiceView)
async def patch_invoice(
    invoice_id: InvoiceId,
    caller: InvoiceWriter,
    body: InvoiceChanges,
    version: ExpectedVersion,
    write: Writing,
) -> Response:
    """Change a draft; lines are replaced as a whole."""
    edit = EditDraft(caller.tenant_id, invoice_id, body.changes, body.customer_id, version)
    return await write(edit_drafts, edit, answer=InvoiceView.of, headers=_version_of)


@router.delete("/api/v1/invoices/{invoice_id}", status_code=204)
async def delete_invoice(
    invoice_id: InvoiceId, caller: InvoiceWriter, version: ExpectedVersion, write: Writing
) -> Response:
    """Throw a draft away."""
    request = DeleteDraft(caller.tenant_id, invoice_id, version)
    return await write(delete_drafts, request, answer=lambda _: None, status=204)


@router.post("/api/v1/invoices/{invoice_id}/issue", response_model=InvoiceView)
async def post_issue(
    request: Request,
    invoice_id: InvoiceId,
    caller: InvoiceWriter,
    version: ExpectedVersion,
    write: Writing,
) -> Response:
    """Issue a draft, or try again where the issue failed; `Prefer: wait=N` waits for the wallet."""
    issue = IssueInvoice(caller.tenant_id, invoice_id, version)
    given = await write(issue_invoices, issue, answer=InvoiceView.of, headers=_version_of)
    return await _held(request, caller, given)


@router.post("/api/v1/invoices/{invoice_id}/send", response_model=InvoiceView)
async def post_send(
    request: Request,
    invoice_id: InvoiceId,
    caller: InvoiceWriter,
    version: ExpectedVersion,
    write: Writing,
) -> Response:
    """Issue and send a draft; one that is issued already stays as it is."""
    send = IssueInvoice(caller.tenant_id, invoice_id, version, send=True)
    given = await write(issue_invoices, send, answer=InvoiceView.of, headers=_version_of)
    return await _held(request, caller, given)


@router.post("/api/v1/invoices/{invoice_id}/void", response_model=InvoiceView)
async def post_void(
    invoice_id: InvoiceId,
    caller: InvoiceWriter,
    body: VoidReason,
    version: ExpectedVersion,
    write: Writing,
) -> Response:
    """Call an open invoice off that has no money and none on its way."""
    request = VoidInvoice(caller.tenant_id, invoice_id, body.reason, caller.actor, version)
    return await write(void_invoices, request, answer=InvoiceView.of, headers=_version_of)


# -- waiting -----------------------------------------------------------------------------------

_outcomes: WeakKeyDictionary[Database, queries.IssueOutcomes] = WeakKeyDictionary()


async def _held(request: Request, caller: Caller, given: Response) -> Response:
    """The answer, held until the invoice left `issuing` where the caller prefers that.

    What is kept for the Idempotency-Key is the answer of the commit; a replay of it is not held.
    """
    found = _WAIT.search(request.headers.get("prefer", ""))
    wait = min(int(found[1]), WAIT_MAX_S) if found else 0
    if wait == 0 or "idempotency-replayed" in given.headers:
        return given
    view = InvoiceView.model_validate_json(bytes(given.body))
    database: Database = request.app.state.api_database
    outcomes = _outcomes.setdefault(database, queries.IssueOutcomes(database))
    await outcomes.wait(caller.tenant_id, view.id, wait)
    async with database.transaction([caller.tenant_id]) as tx:
        invoice = await queries.invoice_by_id(tx, caller.tenant_id, view.id)
    return Response(
        InvoiceView.of(invoice).model_dump_json(),
        given.status_code,
        {**_version_of(invoice), "Preference-Applied": f"wait={wait}"},
        "application/json",
    )


# -- for payers, without a token ---------------------------------------------------------------


async def _instructions(request: Request, token: str) -> tuple[PaymentInstructions, set[str]]:
    """How to pay, and where the pages of providers are that lead there."""
    link = read_token(token)
    if link is None:
        raise PaymentLinkNotFound
    database: Database = request.app.state.api_database
    async with database.transaction([link.tenant_id]) as tx:
        invoice = await queries.invoice_by_link(tx, link)
        due = facts.due(invoice)
        ways = await methods_for(tx, due.asset, due.amount_minor)
    shown = PaymentInstructions.of(invoice, ways)
    return shown, set().union(*(ways[name] for name in shown.methods))


@router.get("/api/v1/payment-links/{token}", response_model=PaymentInstructions)
async def get_payment_link(token: str, request: Request, response: Response) -> PaymentInstructions:
    """How to pay the invoice of a link; the link itself is the permission."""
    found, _ = await _instructions(request, token)
    response.headers.update(pay_page.HEADERS)
    return found


@router.get("/pay/{token}", include_in_schema=False)
async def get_pay_page(token: str, request: Request, news: str = "") -> HTMLResponse:
    """The same as a page for people; `news` is a word of our own for who was sent here."""
    try:
        found, pages = await _instructions(request, token)
    except PaymentLinkNotFound:
        return HTMLResponse(pay_page.missing_page(), 404, pay_page.HEADERS)
    headers = pay_page.headers_for(pages) if found.methods else pay_page.HEADERS
    return HTMLResponse(pay_page.page(found, token, news), headers=headers)


@router.get("/api/v1/payment-links/{token}/state", response_model=PaymentLinkState)
async def get_payment_link_state(
    token: str, request: Request, response: Response
) -> PaymentLinkState:
    """A word that changes when the page of the link does: cheap to ask for every few seconds."""
    found, _ = await _instructions(request, token)
    response.headers.update(pay_page.HEADERS)
    return PaymentLinkState(state=pay_page.state_of(found), payable=found.payable)


@router.get("/pay/assets/{name}", include_in_schema=False)
async def get_pay_asset(name: str) -> Response:
    """Style and script of the page; a name never means anything else later."""
    if name not in pay_page.assets():
        raise PaymentLinkNotFound
    content, media = pay_page.assets()[name]
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, headers={**pay_page.HEADERS, **kept}, media_type=media)
