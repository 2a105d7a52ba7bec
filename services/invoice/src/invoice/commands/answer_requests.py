"""Make the invoices that partners asked for by topic, each once, and say what became of each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from invoice.commands.bodies import NewInvoice
from invoice.commands.create_invoices import CreateInvoice, create_invoices
from invoice.domain.states import Invoice
from invoice.domain.totals import work_out
from invoice.settings import sealer
from invoice.store import requests as store
from invoice.store.requests import Answered
from invoiceos_contracts import encode
from invoiceos_contracts.partner_v1 import (
    InvoiceRequestAccepted,
    InvoiceRequested,
    InvoiceRequestRefused,
    RequestProblem,
)
from messaging import Received, Refusal, Tx
from money import MoneyError

PROBLEMS_MAX = 50
Asked = Received[InvoiceRequested]


@dataclass(frozen=True, slots=True)
class _No:
    """Why there is no invoice."""

    code: str
    detail: str
    problems: tuple[RequestProblem, ...] = ()


async def answer_requests(tx: Tx, asked: Sequence[Asked]) -> None:
    """Create each invoice as REST would, and issue it unless a draft is wanted.

    `InvoiceRequestAccepted`, or `InvoiceRequestRefused` with what is wrong; a request that has its
    answer is left alone. One that is refused never fails its neighbours.
    """
    keyed = {(item.tenant_id, item.fact.invoice_request_id): item for item in reversed(asked)}
    known = await store.answered(tx, keyed)
    fresh = [item for key, item in reversed(keyed.items()) if key not in known]
    if not fresh:
        return
    read = [(item, _read(item)) for item in fresh]
    wanted = [(item, found) for item, found in read if isinstance(found, CreateInvoice)]
    made = await create_invoices(tx, [create for _, create in wanted])
    outcomes: list[tuple[Asked, Invoice | _No]] = [
        (item, _No(outcome.code, outcome.detail) if isinstance(outcome, Refusal) else outcome)
        for (item, _), outcome in zip(wanted, made, strict=True)
    ]
    outcomes += [(item, found) for item, found in read if isinstance(found, _No)]
    await store.insert_answered(tx, [_row(item.fact, outcome) for item, outcome in outcomes])
    tx.stage((_fact(item.fact, outcome), item.id) for item, outcome in outcomes)


def _read(item: Asked) -> CreateInvoice | _No:
    """What to create; every rule that REST has is kept here too."""
    fact = item.fact
    body: dict[str, Any] = fact.invoice.model_dump(
        mode="json", exclude={"draft"}, exclude_none=True
    )
    body["issue"] = not fact.invoice.draft
    if fact.customer is not None:
        subject = encode("req", fact.invoice_request_id)
        body["customer"] = json.loads(sealer().open(fact.customer, subject=subject))
    try:
        new = NewInvoice.model_validate(body)
        person = new.customer.person() if new.customer else None
        return CreateInvoice(fact.tenant_id, work_out(*new.draft()), person, new.issue, item.id)
    except ValidationError as error:
        return _No("invalid_request", "The request is not valid", _problems(error))
    except Refusal as refusal:
        return _No(refusal.code, refusal.detail)
    except MoneyError as error:
        return _No(error.code, str(error))


def _problems(error: ValidationError) -> tuple[RequestProblem, ...]:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return tuple(
        RequestProblem(
            pointer="".join(f"/{step}" for step in item["loc"]),
            code=item["type"],
            message=item["msg"].removeprefix("Value error, ")[:500],
        )
        for item in found[:PROBLEMS_MAX]
    )


def _row(fact: InvoiceRequested, outcome: Invoice | _No) -> Answered:
    return Answered(
        tenant_id=fact.tenant_id,
        id=fact.invoice_request_id,
        partner=fact.partner,
        request_id=fact.request_id,
        invoice_id=None if isinstance(outcome, _No) else outcome.id,
        code=outcome.code if isinstance(outcome, _No) else None,
    )


def _fact(
    fact: InvoiceRequested, outcome: Invoice | _No
) -> InvoiceRequestAccepted | InvoiceRequestRefused:
    if isinstance(outcome, _No):
        return InvoiceRequestRefused(
            tenant_id=fact.tenant_id,
            invoice_request_id=fact.invoice_request_id,
            partner=fact.partner,
            request_id=fact.request_id,
            code=outcome.code,
            detail=outcome.detail,
            problems=outcome.problems,
        )
    return InvoiceRequestAccepted(
        tenant_id=fact.tenant_id,
        invoice_request_id=fact.invoice_request_id,
        partner=fact.partner,
        request_id=fact.request_id,
        invoice_id=outcome.id,
        number=outcome.number,
        status=outcome.document,
    )
