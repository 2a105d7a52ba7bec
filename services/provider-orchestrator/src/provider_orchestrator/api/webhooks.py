"""Webhooks of providers: verified as they came, kept once, answered at once, believed never."""

from typing import Annotated, Any

import aiohttp
from fastapi import APIRouter, Depends, Request, Response

from messaging import Answer, Writer
from provider_orchestrator.commands.keep_webhooks import keep_webhooks
from provider_orchestrator.domain.adapters import Adapter, NotAuthentic, ProviderFault, Webhook
from provider_orchestrator.errors import (
    ProviderNotConfigured,
    ProviderUnreachable,
    WebhookNotAuthentic,
)
from provider_orchestrator.providers.adapters import adapters
from provider_orchestrator.store.webhooks import Delivered

# Providers send what they like, so their bodies are not read before the signature was.
router = APIRouter()
_KEPT_HEADERS_MAX = 100
_WAIT = aiohttp.ClientTimeout(total=5)


async def known_adapters(request: Request) -> dict[str, Adapter]:
    """The adapters of this process, made once. Async, or each webhook would wait for a thread."""
    state: Any = request.app.state
    if not hasattr(state, "adapters"):
        state.adapters = adapters(state.runtime.http)
    found: dict[str, Adapter] = state.adapters
    return found


Known = Annotated[dict[str, Adapter], Depends(known_adapters)]


async def _take(name: str, request: Request, known: dict[str, Adapter]) -> Response:
    adapter = known.get(name)
    if adapter is None:
        raise ProviderNotConfigured(f"{name} is not configured; remove this webhook there")
    headers = dict(list(request.headers.items())[:_KEPT_HEADERS_MAX])
    webhook = Webhook(await request.body(), headers)
    try:
        hint = await adapter.hint(webhook)
    except NotAuthentic as error:
        raise WebhookNotAuthentic from error
    except ProviderFault as error:
        raise ProviderUnreachable from error
    if hint.confirm_url is not None:
        await _confirm(request.app.state.runtime.http, hint.confirm_url)
    delivered = Delivered(name, webhook, hint)
    writer: Writer = request.app.state.writer
    await writer.submit(
        keep_webhooks,
        delivered,
        tenant_id=delivered.tenant_id,
        answer=lambda _: Answer(200, b"", {}),
    )
    return Response(hint.answer or None, 200)


async def _confirm(http: aiohttp.ClientSession, url: str) -> None:
    """Say that we want what is sent here: the adapter has checked whose address this is.

    Where that fails nothing is kept, and the question comes again.
    """
    try:
        async with http.get(url, timeout=_WAIT, allow_redirects=False) as answer:
            confirmed = answer.status == 200
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ProviderUnreachable from error
    if not confirmed:
        raise ProviderUnreachable


@router.post("/api/v1/webhooks/stripe", response_model=None)
async def post_stripe_webhook(request: Request, known: Known) -> Response:
    """Stripe reports something."""
    return await _take("stripe", request, known)


@router.post("/api/v1/webhooks/paypal", response_model=None)
async def post_paypal_webhook(request: Request, known: Known) -> Response:
    """PayPal reports something."""
    return await _take("paypal", request, known)


@router.post("/api/v1/webhooks/circle", response_model=None)
async def post_circle_webhook(request: Request, known: Known) -> Response:
    """Circle reports something."""
    return await _take("circle", request, known)


@router.head("/api/v1/webhooks/circle", response_model=None, include_in_schema=False)
async def head_circle_webhook() -> Response:
    """Circle looks whether there is somebody, before its first message."""
    return Response(None, 200)
