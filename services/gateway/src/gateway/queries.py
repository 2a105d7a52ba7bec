"""What is read: companies, lists of keys, and the key a request came with."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict

from chassis.auth import Caller, Unauthenticated
from chassis.runtime import Runtime
from gateway.domain.keys import ApiKey, hash_of, looks_like_key
from gateway.domain.partners import Partner
from gateway.errors import PartnerNotFound, TenantNotFound, TenantSuspended
from gateway.store import Tenant
from gateway.store.partners import COLUMNS, partner_of
from invoiceos_contracts import encode
from invoiceos_contracts.ids import ApiKeyId, TenantId
from invoiceos_contracts.registry import principal_of, topics_of
from messaging import Database, Refusal, Tx

V = TypeVar("V")
FRESH_S = 5.0
"""A revocation is known to every process within this time."""
_KNOWN_MAX = 50_000
_UNKNOWN_MAX = 10_000


class View(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class TenantView(View):
    """A company on the platform."""

    tenant_id: TenantId
    name: str
    state: str
    """`active` or `suspended`."""
    created_at: datetime


class CreatedTenantView(View):
    """A new company and its first API key."""

    tenant_id: TenantId
    name: str
    created_at: datetime
    api_key_id: ApiKeyId
    api_key_prefix: str
    api_key: str
    """The key itself; it is shown here and never again."""

    @classmethod
    def of(cls, tenant: Tenant, key: ApiKey, shown: str) -> "CreatedTenantView":
        """The answer to a creation."""
        return cls(
            tenant_id=tenant.tenant_id,
            name=tenant.name,
            created_at=tenant.created_at,
            api_key_id=key.id,
            api_key_prefix=key.prefix,
            api_key=shown,
        )


class ApiKeyView(View):
    """An API key without its secret."""

    id: ApiKeyId
    name: str
    prefix: str
    """First letters of the key, to recognise it by."""
    scopes: tuple[str, ...]
    created_by: str
    """Id of the key that made it, or `operator`."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyView":
        """A stored key."""
        return cls(**fields_of(key))


class CreatedApiKeyView(ApiKeyView):
    """A new API key."""

    api_key: str
    """The key itself; it is shown here and never again."""

    @classmethod
    def created(cls, key: ApiKey, shown: str) -> "CreatedApiKeyView":
        """The answer to a creation."""
        return cls(**fields_of(key), api_key=shown)


def fields_of(key: ApiKey) -> Mapping[str, Any]:
    """What may be told about a key."""
    return {name: getattr(key, name) for name in ApiKeyView.model_fields}


class PartnerView(View):
    """A system that integrates through topics."""

    name: str
    tenant_id: TenantId
    principal: str
    """Whom the broker knows it as."""
    state: str
    """`active` or `revoked`."""
    event_types: tuple[str, ...]
    """Which facts are copied to its topic of events."""
    topics: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, partner: Partner) -> "PartnerView":
        """A stored partner."""
        kept = ("name", "tenant_id", "state", "event_types", "created_at", "revoked_at")
        return cls(
            **{name: getattr(partner, name) for name in kept},
            principal=principal_of(partner.name),
            topics=tuple(spec.name for spec in topics_of(partner.name)),
        )


class PartnerList(View):
    """Every partner, by name."""

    items: tuple[PartnerView, ...]


async def all_partners(database: Database) -> PartnerList:
    """Every partner; with the worker role, for an operator asks for all tenants."""
    rows = await database.fetch(f"select {COLUMNS} from partner order by name")
    return PartnerList(items=tuple(PartnerView.of(partner_of(dict(row))) for row in rows))


async def partner_named(database: Database, name: str) -> PartnerView:
    """One partner, whichever tenant's; raises `PartnerNotFound`."""
    rows = await database.fetch(f"select {COLUMNS} from partner where name = $1", name)
    if not rows:
        raise PartnerNotFound
    return PartnerView.of(partner_of(dict(rows[0])))


async def tenant_of(tx: Tx, tenant_id: UUID) -> TenantView:
    """The caller's company; raises `TenantNotFound`."""
    row = await tx.fetchrow(
        "select tenant_id, name, state, created_at from tenant where tenant_id = $1", tenant_id
    )
    if row is None:
        raise TenantNotFound
    return TenantView(**row)


async def keys_of(tx: Tx, tenant_id: UUID, *, after: UUID | None, limit: int) -> list[ApiKeyView]:
    """Keys of a tenant, newest first; one more than the limit where there are more."""
    rows = await tx.fetch(
        """
        select id, name, prefix, scopes, created_by, created_at, expires_at, revoked_at,
               last_used_at
        from api_key
        where tenant_id = $1 and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        tenant_id,
        after,
        limit + 1,
    )
    return [ApiKeyView(**row) for row in rows]


@dataclass(slots=True)
class Known:
    """A key that was looked up, and what to make of it."""

    caller: Caller
    key_id: UUID
    refusal: Refusal | None
    expires_at: float
    """Seconds since the epoch."""
    fresh_until: float
    """On the monotonic clock."""


class KnownKeys:
    """The keys requests come with: looked up in the database, then believed for `FRESH_S`.

    Only hashes are kept. Keys nobody has are remembered too, within a bound, so that repeating
    one costs no look-up.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Read through the worker role: until the key is found, nobody knows whose it is."""
        self._runtime = runtime
        self._known: dict[bytes, Known] = {}
        self._unknown: dict[bytes, float] = {}
        self._pending: dict[bytes, asyncio.Task[Known | None]] = {}
        self._forgotten = 0
        self.used: dict[tuple[UUID, UUID], datetime] = {}
        """When each key (tenant, id) was used since it was last written down."""

    def remembered(self, text: str) -> Caller | None:
        """The caller, if the key was looked up a moment ago; raises what speaks against it."""
        digest = hash_of(text)
        known = self._known.get(digest)
        now = time.monotonic()
        if known is not None and now < known.fresh_until:
            return self._admit(known)
        if self._unknown.get(digest, 0.0) > now:
            raise Unauthenticated
        return None

    async def find(self, text: str) -> Caller:
        """The caller a key stands for; raises `Unauthenticated` or `TenantSuspended`."""
        if not looks_like_key(text):
            raise Unauthenticated
        digest = hash_of(text)
        pending = self._pending.get(digest)
        if pending is None:
            pending = asyncio.create_task(self._look_up(digest))
            self._pending[digest] = pending
            pending.add_done_callback(lambda _: self._pending.pop(digest, None))
        known = await asyncio.shield(pending)
        if known is None:
            raise Unauthenticated
        return self._admit(known)

    def forget(self, key_id: UUID) -> None:
        """Look a key up anew at its next use; a look-up under way is not believed afterwards."""
        self._forgotten += 1
        self._known = {d: known for d, known in self._known.items() if known.key_id != key_id}

    def _admit(self, known: Known) -> Caller:
        if known.refusal is not None:
            raise known.refusal
        now = time.time()
        if now >= known.expires_at:
            raise Unauthenticated("This API key has expired")
        self.used[known.caller.tenant_id, known.key_id] = datetime.fromtimestamp(now, UTC)
        return known.caller

    async def _look_up(self, digest: bytes) -> Known | None:
        forgotten, asked_at = self._forgotten, time.monotonic()
        rows = await self._runtime.worker.fetch(
            """
            select k.tenant_id, k.id, k.secret_hash, k.scopes, t.state,
                   k.revoked_at is not null as revoked,
                   coalesce(extract(epoch from k.expires_at), 'infinity')::float8 as expires_at
            from api_key k join tenant t on t.tenant_id = k.tenant_id
            where k.secret_hash = $1
            """,
            digest,
        )
        if not rows or not hmac.compare_digest(rows[0]["secret_hash"], digest):
            _bound(self._unknown, _UNKNOWN_MAX)[digest] = asked_at + FRESH_S
            return None
        known = _known(rows[0], asked_at + FRESH_S)
        if forgotten == self._forgotten:
            _bound(self._known, _KNOWN_MAX)[digest] = known
        return known


def _known(row: Any, fresh_until: float) -> Known:
    refusal: Refusal | None = None
    if row["revoked"]:
        refusal = Unauthenticated("This API key was revoked")
    elif row["state"] != "active":
        refusal = TenantSuspended()
    return Known(
        caller=Caller(row["tenant_id"], encode("key", row["id"]), frozenset(row["scopes"])),
        key_id=row["id"],
        refusal=refusal,
        expires_at=row["expires_at"],
        fresh_until=fresh_until,
    )


def _bound(cache: dict[bytes, V], most: int) -> dict[bytes, V]:
    """The cache with room for one more: the oldest goes."""
    while len(cache) >= most:
        del cache[next(iter(cache))]
    return cache


_OF_RUNTIME: WeakKeyDictionary[Runtime, KnownKeys] = WeakKeyDictionary()


def known_keys(runtime: Runtime) -> KnownKeys:
    """The known keys of a running gateway; the edge, the API and the workers share them."""
    found = _OF_RUNTIME.get(runtime)
    if found is None:
        found = _OF_RUNTIME[runtime] = KnownKeys(runtime)
    return found
