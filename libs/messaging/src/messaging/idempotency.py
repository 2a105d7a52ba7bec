"""The answer to a write is kept with its effect, and given again to the same key."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from messaging.errors import IdempotencyKeyReused, Refusal, RequestInProgress
from messaging.metrics import IDEMPOTENT_REPLAYS
from messaging.transaction import Tx


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it was given: replayed byte for byte."""

    status_code: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
    kept: bytes | None = None
    """What is stored in place of the body, where the body holds a secret; a replay gives this."""


@dataclass(frozen=True, slots=True, order=True)
class RequestKey:
    """A caller's name for one write: unique within tenant and route."""

    tenant_id: UUID
    route: str
    key: str
    request_hash: bytes = field(compare=False)

    @classmethod
    def of(cls, tenant_id: UUID, route: str, key: str, *parts: bytes) -> "RequestKey":
        """Name a request whose content is `parts`."""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return cls(tenant_id, route, key, digest.digest())


async def claim(tx: Tx, keys: Sequence[RequestKey]) -> dict[RequestKey, Answer | Refusal]:
    """Take these keys for this transaction; what is known of those already taken.

    A key another transaction holds makes this one wait for its commit, then shows its answer.
    """
    ordered = sorted(keys)
    taken = await tx.fetch(
        """
        insert into idempotency (tenant_id, route, key, request_hash)
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
        on conflict do nothing returning tenant_id, route, key
        """,
        *_names(ordered),
        [key.request_hash for key in ordered],
    )
    new = {(row["tenant_id"], row["route"], row["key"]) for row in taken}
    known = [key for key in ordered if (key.tenant_id, key.route, key.key) not in new]
    return await _look_up(tx, known) if known else {}


async def _look_up(tx: Tx, keys: Sequence[RequestKey]) -> dict[RequestKey, Answer | Refusal]:
    rows = await tx.fetch(
        """
        select i.* from idempotency i join unnest($1::uuid[], $2::text[], $3::text[])
            as k(tenant_id, route, key) using (tenant_id, route, key)
        """,
        *_names(keys),
    )
    stored = {(row["tenant_id"], row["route"], row["key"]): row for row in rows}
    found: dict[RequestKey, Answer | Refusal] = {}
    for key in keys:
        row = stored.get((key.tenant_id, key.route, key.key))
        if row is None or row["status_code"] is None:
            found[key] = RequestInProgress()
        elif row["request_hash"] != key.request_hash:
            found[key] = IdempotencyKeyReused()
        else:
            IDEMPOTENT_REPLAYS.inc()
            found[key] = Answer(row["status_code"], row["body"], row["headers"], replayed=True)
    return found


async def keep(tx: Tx, answers: Mapping[RequestKey, Answer | Refusal]) -> None:
    """Store the answers given; a refused request leaves no record and may be sent again."""
    given = [(key, answer) for key, answer in answers.items() if isinstance(answer, Answer)]
    refused = [key for key, answer in answers.items() if isinstance(answer, Refusal)]
    if given:
        await tx.execute(
            """
            update idempotency i set status_code = k.status_code, headers = k.headers::jsonb,
                body = k.body
            from unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::bytea[])
                as k(tenant_id, route, key, status_code, headers, body)
            where i.tenant_id = k.tenant_id and i.route = k.route and i.key = k.key
            """,
            *_names([key for key, _ in given]),
            [answer.status_code for _, answer in given],
            [json.dumps(dict(answer.headers)) for _, answer in given],
            [_kept(answer) for _, answer in given],
        )
    if refused:
        await tx.execute(
            """
            delete from idempotency i using unnest($1::uuid[], $2::text[], $3::text[])
                as k(tenant_id, route, key)
            where i.tenant_id = k.tenant_id and i.route = k.route and i.key = k.key
            """,
            *_names(refused),
        )


def again(answer: Answer | Refusal) -> Answer | Refusal:
    """The answer for a twin of a request in the same batch."""
    if isinstance(answer, Answer):
        return replace(answer, body=_kept(answer), replayed=True)
    return answer


def _kept(answer: Answer) -> bytes:
    return answer.body if answer.kept is None else answer.kept


def _names(keys: Sequence[RequestKey]) -> tuple[list[UUID], list[str], list[str]]:
    return [k.tenant_id for k in keys], [k.route for k in keys], [k.key for k in keys]
