"""For holders of payment links, who have no account: pay on a provider's page, and come back.

Both answer browsers, by sending them on: to the provider, or to the page of the link, which says
how it stands. Nothing here tells anything about the invoice.
"""

import asyncio
from typing import Annotated
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse

from messaging import Answer, Database, Refusal, Writer
from provider_orchestrator.api.webhooks import Known
from provider_orchestrator.commands.look_again import CameBack, look_again
from provider_orchestrator.commands.pay_by_link import PayByLink, pay_by_link
from provider_orchestrator.domain.intents import OPEN, Intent, IntentState
from provider_orchestrator.domain.links import Link, read_token
from provider_orchestrator.errors import PaymentLinkNotFound, PaymentUnderWay
from provider_orchestrator.providers.catalogue import catalogue
from provider_orchestrator.queries import intents as queries
from provider_orchestrator.queries.intents import LinkIntent
from provider_orchestrator.settings import settings

# Forms come as browsers send them, not as JSON.
router = APIRouter(include_in_schema=False)
WAIT_S = 10.0
"""How long a browser is held until the provider has made its page."""
LOOK_S = 0.05
_TIMES_MAX = 2
"""An intent for another way is given up first, then there is a new one."""
_FORM_BYTES_MAX = 1000
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_MAKING = frozenset({IntentState.CREATED, IntentState.ROUTED, IntentState.SUBMITTED})


def _link(token: str) -> Link:
    link = read_token(token)
    if link is None:
        raise PaymentLinkNotFound
    return link


Given = Annotated[Link, Depends(_link)]


@router.post("/pay/with/{token}")
async def post_pay(token: str, link: Given, request: Request, known: Known) -> RedirectResponse:
    """Begin to pay, or go on: to the provider's page with the answer 303."""
    wanted = PayByLink(
        tenant_id=link.tenant_id,
        link_hash=link.hash,
        method=_method_of(await request.body()),
        return_url=f"{settings().public_url.rstrip('/')}/pay/back/{token}",
        offers=[can for can in catalogue() if can.provider in known],
    )
    try:
        where = await asyncio.wait_for(_page_for(request, wanted), WAIT_S)
    except TimeoutError:
        where = _page_of(token, "slow")
    except Refusal as refusal:
        where = _page_of(token, refusal.code)
    return RedirectResponse(where or _page_of(token, "failed"), 303, HEADERS)


@router.get("/pay/back/{token}")
async def get_back(token: str, link: Given, request: Request) -> RedirectResponse:
    """The payer is back, whether or not money was given."""
    writer: Writer = request.app.state.writer
    asked = CameBack(link.tenant_id, link.hash)
    await writer.submit(
        look_again, asked, tenant_id=link.tenant_id, answer=lambda _: Answer(200, b"", {})
    )
    return RedirectResponse(_page_of(token, "back"), 303, HEADERS)


def _method_of(form: bytes) -> str:
    if len(form) > _FORM_BYTES_MAX:
        return ""
    try:
        fields = parse_qs(form.decode("ascii"), max_num_fields=5)
    except ValueError:
        return ""
    return fields.get("method", [""])[0]


def _page_of(token: str, news: str) -> str:
    return f"/pay/{token}?news={news}"


async def _page_for(request: Request, wanted: PayByLink) -> str | None:
    """Where the payer goes; None where the provider would not begin."""
    writer: Writer = request.app.state.writer
    for _ in range(_TIMES_MAX):
        answer = await writer.submit(pay_by_link, wanted, tenant_id=wanted.tenant_id, answer=_named)
        intent = await _come_to_rest(request, wanted.tenant_id, UUID(answer.body.decode()))
        mine = intent.method == wanted.method and intent.giving_up is None
        if intent.state is IntentState.REQUIRES_ACTION and mine and intent.url:
            return intent.url
        if intent.state in OPEN or intent.captured_minor:
            raise PaymentUnderWay
        if mine:
            return None
    raise PaymentUnderWay


def _named(intent: Intent) -> Answer:
    return Answer(200, str(intent.id).encode(), {})


async def _come_to_rest(request: Request, tenant_id: UUID, intent_id: UUID) -> LinkIntent:
    """Wait until the provider has said something, or has given up what it was told to."""
    database: Database = request.app.state.api_database
    while True:
        async with database.transaction([tenant_id]) as tx:
            found = await queries.intent_of_link(tx, tenant_id, intent_id)
        leaving = found.giving_up is not None and found.state in OPEN
        if found.state not in _MAKING and not leaving:
            return found
        await asyncio.sleep(LOOK_S)
