"""Companies and their API keys."""

import json
import os
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, StringConstraints

from chassis.auth import AnyCaller, Caller, caller_of, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, Moment, ShortText
from chassis.strict_json import StrictRoute
from gateway.commands.create_api_key import CreatedApiKey, NewApiKey, create_api_keys
from gateway.commands.create_tenant import CreatedTenant, NewTenant, create_tenants
from gateway.commands.register_partner import NewPartner, register_partners
from gateway.commands.revoke_api_key import Revocation, revoke_api_keys
from gateway.commands.revoke_partner import PartnerRevocation, revoke_partners
from gateway.domain.keys import OPERATOR, PREFIX_BYTES, SECRET_BYTES, Secret, SecretBox, secret_of
from gateway.errors import OperatorOnly
from gateway.queries import (
    ApiKeyView,
    CreatedApiKeyView,
    CreatedTenantView,
    PartnerList,
    PartnerView,
    TenantView,
    all_partners,
    keys_of,
    known_keys,
    partner_named,
    tenant_of,
)
from gateway.settings import GatewaySettings
from invoiceos_contracts import encode
from invoiceos_contracts.ids import PLATFORM, ApiKeyId, PartnerName, TenantId
from messaging import Tx

router = APIRouter(route_class=StrictRoute)
Scope = Annotated[str, StringConstraints(max_length=64, strict=True)]
EventPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[a-z0-9_.*]+$", strict=True)
]


class TenantInput(Input):
    """A company that joins."""

    name: ShortText


class ApiKeyInput(Input):
    """A key to make."""

    name: ShortText
    scopes: Annotated[Sequence[Scope], Field(min_length=1, max_length=64)]
    """What the key may do, such as `invoices:write`; `*` is everything the tenant may."""
    expires_at: Moment | None = None
    """When it stops working by itself; never, where it is not given."""


def operator(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    """The platform's operator; no tenant's key gets here, whatever its scopes."""
    if caller.tenant_id != PLATFORM or OPERATOR not in caller.scopes:
        raise OperatorOnly
    return caller


class Secrets:
    """Makes keys, and keeps their secrets out of the stored answers."""

    def __init__(self, request: Request) -> None:
        """Bind to a running gateway."""
        settings: GatewaySettings = request.app.state.runtime.settings
        self._environment = str(settings.environment)
        self._box = SecretBox(settings.internal_token_private_key.get_secret_value())

    def new(self) -> Secret:
        """A key nobody has."""
        return secret_of(
            self._environment, os.urandom(PREFIX_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        )

    def sealed(self, key_id: Any, secret: Secret) -> str:
        """The secret as the stored answer holds it."""
        return self._box.seal(secret.text, key_id=encode("key", key_id), nonce=os.urandom(12))

    def reveal(self, response: Response, id_field: str) -> Response:
        """The answer as its one reader gets it; the same bytes each time."""
        body = json.loads(bytes(response.body))
        body["api_key"] = self._box.open(body["api_key"], key_id=body[id_field])
        headers = {k: v for k, v in response.headers.items() if k != "content-length"}
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        return Response(
            text.encode(), response.status_code, {**headers, "Cache-Control": "no-store"}
        )


KeySecrets = Annotated[Secrets, Depends(Secrets)]


@router.post("/api/v1/tenants", status_code=201, response_model=CreatedTenantView)
async def post_tenant(
    body: TenantInput,
    write: Writing,
    keys: KeySecrets,
    caller: Annotated[Caller, Depends(operator)],
) -> Response:
    """Create a company and its first API key. For the platform's operators."""
    request = NewTenant(Tx.new_id(), body.name, Tx.new_id(), keys.new(), caller.actor)

    def shown(made: CreatedTenant) -> CreatedTenantView:
        return CreatedTenantView.of(made.tenant, made.key, keys.sealed(made.key.id, made.secret))

    return keys.reveal(await write(create_tenants, request, answer=shown, status=201), "api_key_id")


@router.get("/api/v1/tenants/current")
async def get_current_tenant(tx: Reading, caller: AnyCaller) -> TenantView:
    """The company the API key acts for."""
    return await tenant_of(tx, caller.tenant_id)


@router.post("/api/v1/api-keys", status_code=201, response_model=CreatedApiKeyView)
async def post_api_key(
    body: ApiKeyInput,
    write: Writing,
    keys: KeySecrets,
    caller: Annotated[Caller, Depends(needs("keys:write"))],
) -> Response:
    """Make a key that may do no more than the one that asks. Its secret is shown once."""
    request = NewApiKey(
        tenant_id=caller.tenant_id,
        key_id=Tx.new_id(),
        secret=keys.new(),
        name=body.name,
        scopes=tuple(body.scopes),
        expires_at=body.expires_at,
        created_by=caller.actor,
        held=caller.scopes,
    )

    def shown(made: CreatedApiKey) -> CreatedApiKeyView:
        return CreatedApiKeyView.created(made.key, keys.sealed(made.key.id, made.secret))

    return keys.reveal(await write(create_api_keys, request, answer=shown, status=201), "id")


@router.get("/api/v1/api-keys", response_model=Page[ApiKeyView])
async def get_api_keys(
    tx: Reading,
    caller: Annotated[Caller, Depends(needs("keys:read"))],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The tenant's keys, newest first, revoked ones too; never their secrets."""
    found = await keys_of(tx, caller.tenant_id, after=after(cursor), limit=limit)
    return page(found, limit, lambda view: view.id)


@router.delete("/api/v1/api-keys/{key_id}", response_model=ApiKeyView)
async def delete_api_key(
    key_id: ApiKeyId,
    request: Request,
    write: Writing,
    caller: Annotated[Caller, Depends(needs("keys:write"))],
) -> Response:
    """Revoke a key: here at once, in other processes within five seconds."""
    wish: Revocation = Revocation(caller.tenant_id, key_id)
    response = await write(revoke_api_keys, wish, answer=ApiKeyView.of)
    known_keys(request.app.state.runtime).forget(key_id)
    return response


# -- partners, for the platform's operators ----------------------------------------------------


class PartnerInput(Input):
    """A partner to register."""

    name: PartnerName
    tenant_id: TenantId
    event_types: Annotated[Sequence[EventPattern], Field(max_length=64)] | None = None
    """Facts to copy to its topic of events: `*`, types, or prefixes ending in `.*`. All of them
    where not given; given again, they replace what it wanted before."""


@router.post("/api/v1/partners", status_code=201, response_model=PartnerView)
async def post_partner(
    body: PartnerInput, write: Writing, caller: Annotated[Caller, Depends(operator)]
) -> Response:
    """Register a partner; asked again for the same tenant, it is the same one."""
    wanted = None if body.event_types is None else tuple(sorted(set(body.event_types)))
    request = NewPartner(body.name, body.tenant_id, wanted, caller.actor)
    return await write(register_partners, request, answer=PartnerView.of, status=201)


@router.get("/api/v1/partners", dependencies=[Depends(operator)])
async def get_partners(request: Request) -> PartnerList:
    """Every partner, by name; revoked ones too."""
    return await all_partners(request.app.state.runtime.worker)


@router.get("/api/v1/partners/{name}", dependencies=[Depends(operator)])
async def get_partner(name: PartnerName, request: Request) -> PartnerView:
    """One partner."""
    return await partner_named(request.app.state.runtime.worker, name)


@router.post(
    "/api/v1/partners/{name}/revoke",
    response_model=PartnerView,
    dependencies=[Depends(operator)],
)
async def post_partner_revoke(name: PartnerName, request: Request, write: Writing) -> Response:
    """Let a partner in no more, for good: its name is not given again."""
    known = await partner_named(request.app.state.runtime.worker, name)
    wish = PartnerRevocation(known.tenant_id, name)
    return await write(revoke_partners, wish, answer=PartnerView.of)
