"""What a partner is, and whether a record of its topic is a request. Pure: no clock, no I/O."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pydantic import ValidationError

from chassis.problems import BadBody
from chassis.strict_json import BODY_BYTES_MAX, parse
from invoiceos_contracts import decode
from invoiceos_contracts.identity_v1 import PartnerRegistered, PartnerRevoked
from invoiceos_contracts.partner_v1 import InvoiceRequest, RequestProblem
from invoiceos_contracts.registry import PUBLISHED, principal_of

EVERYTHING = "*"
REQUEST_ID_LENGTH_MAX = 200
HEADERS_MAX = 64
HEADER_BYTES_MAX = 16_384
PROBLEMS_MAX = 50
POINTER_LENGTH_MAX = 200
_SPACE = UUID("b3bb5a0a-6ef2-5b36-8a0c-0e6b9bd5c1f4")
"""Ids of requests are names in this space."""
_NEEDED = ("ce_specversion", "ce_id", "ce_type", "ce_source")
_READ = frozenset({*_NEEDED, "ce_tenant", "ce_time", "content-type"})


@dataclass(frozen=True, slots=True)
class Partner:
    """A company's system that integrates through topics."""

    tenant_id: UUID
    name: str
    state: str
    event_types: tuple[str, ...]
    created_by: str
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether it is let in."""
        return self.state == "active"

    def registered(self) -> PartnerRegistered:
        """The fact that it has its topics and wants these events."""
        return PartnerRegistered(
            tenant_id=self.tenant_id,
            partner=self.name,
            principal=principal_of(self.name),
            event_types=self.event_types,
        )

    def revoked(self) -> PartnerRevoked:
        """The fact that it is let in no more."""
        return PartnerRevoked(
            tenant_id=self.tenant_id, partner=self.name, principal=principal_of(self.name)
        )


def patterns_of(event_type: str) -> list[str]:
    """What a partner may have asked for to get this type: itself, its prefixes, everything."""
    parts = event_type.split(".")
    prefixes = [".".join([*parts[:count], EVERYTHING]) for count in range(1, len(parts))]
    return [EVERYTHING, *prefixes, event_type]


_KNOWN_PATTERNS = frozenset(pattern for event in PUBLISHED for pattern in patterns_of(event.TYPE))


def unknown_patterns(patterns: Iterable[str]) -> list[str]:
    """Those of these patterns that no fact can ever match."""
    return [pattern for pattern in patterns if pattern not in _KNOWN_PATTERNS]


@dataclass(frozen=True, slots=True)
class Rejected(Exception):
    """Why a record is no request."""

    code: str
    detail: str
    problems: tuple[RequestProblem, ...] = ()
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A record that is a request, of this partner."""

    id: UUID
    request_id: str
    body: InvoiceRequest
    body_hash: bytes


def id_of_request(partner: Partner, request_id: str) -> UUID:
    """Our id of a request; the same for the same partner and its id of it."""
    return uuid5(_SPACE, f"{partner.name}/request/{request_id}")


def id_of_rejection(partner: Partner, record_id: UUID) -> UUID:
    """Our id of a record that is no request; the same in every redelivery of the record."""
    return uuid5(_SPACE, f"{partner.name}/record/{record_id}")


def examine(
    partner: Partner, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> Request:
    """What a partner asks for; raises `Rejected`. Cheap checks come first, trust last."""
    request_id: str | None = None
    try:
        if value is None or len(value) > BODY_BYTES_MAX:
            raise _of_size(value)
        read = _read(headers)
        request_id = _request_id(read)
        _require_ours(read)
        _require_own_tenant(partner, read.get("ce_tenant"))
        body = _json(value)
        if isinstance(body, dict) and isinstance(body.get("tenant_id"), str):
            _require_own_tenant(partner, body["tenant_id"])
        request = _request(body)
    except Rejected as found:
        if found.request_id is not None or request_id is None:
            raise
        raise Rejected(found.code, found.detail, found.problems, request_id) from None
    assert request_id is not None
    return Request(id_of_request(partner, request_id), request_id, request, _hash(body))


def _of_size(value: bytes | None) -> Rejected:
    if value is None:
        return Rejected("malformed_body", "The record has no value")
    return Rejected("body_too_large", f"The limit is {BODY_BYTES_MAX} bytes")


def _read(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """The headers that are acted on, as text; others are let be, whatever they hold."""
    size = sum(len(name) + len(value or b"") for name, value in headers)
    if len(headers) > HEADERS_MAX or size > HEADER_BYTES_MAX:
        raise Rejected(
            "invalid_headers", f"At most {HEADERS_MAX} headers of {HEADER_BYTES_MAX} bytes together"
        )
    found: dict[str, str] = {}
    for name, value in headers:
        if name not in _READ or value is None:
            continue
        if name in found:
            raise Rejected("invalid_headers", f"The header {name} is given twice")
        try:
            found[name] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Rejected("invalid_headers", f"The header {name} is not UTF-8") from None
    return found


def _request_id(read: dict[str, str]) -> str:
    """Read first of all: what is wrong with the rest is then told under it."""
    text = read.get("ce_id", "")
    if not 0 < len(text) <= REQUEST_ID_LENGTH_MAX or not (text.isascii() and text.isprintable()):
        raise Rejected(
            "invalid_headers",
            f"ce_id, your id of the request, is 1 to {REQUEST_ID_LENGTH_MAX} visible characters",
        )
    return text


def _require_ours(read: dict[str, str]) -> None:
    for name in _NEEDED:
        if not read.get(name):
            raise Rejected("invalid_headers", f"The header {name} is missing")
    if read["ce_specversion"] != "1.0":
        raise Rejected("invalid_headers", "ce_specversion is 1.0")
    if "ce_time" in read and not _is_time(read["ce_time"]):
        raise Rejected("invalid_headers", "ce_time is not a time of RFC 3339 with its offset")
    if read["ce_type"] != InvoiceRequest.TYPE:
        raise Rejected("type_not_allowed", f"A partner may write {InvoiceRequest.TYPE} alone")
    media = read.get("content-type", "application/json").partition(";")[0].strip().lower()
    structured = media.startswith("application/cloudevents")
    if structured or not (media == "application/json" or media.endswith("+json")):
        raise Rejected("unsupported_media_type", "The value is the data alone, as application/json")


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _require_own_tenant(partner: Partner, claimed: str | None) -> None:
    """The topic says whose a record is; who says otherwise in it is not believed at all."""
    if claimed is None:
        return
    try:
        own = decode("ten", claimed) == partner.tenant_id
    except ValueError:
        own = False
    if not own:
        raise Rejected("forged_tenant", "The record names a tenant that is not yours; name none")


def _json(value: bytes) -> Any:
    try:
        return parse(value)
    except BadBody as error:
        raise Rejected("malformed_body", error.detail) from None


def _request(body: Any) -> InvoiceRequest:
    try:
        return InvoiceRequest.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        problems = tuple(_problem(item) for item in found[:PROBLEMS_MAX])
        raise Rejected("invalid_request", "The request is not valid", problems) from None


def _problem(found: Any) -> RequestProblem:
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in found["loc"]]
    return RequestProblem(
        pointer="".join(f"/{step}" for step in steps)[:POINTER_LENGTH_MAX],
        code=found["type"],
        message=found["msg"].removeprefix("Value error, ")[:500],
    )


def _hash(body: Any) -> bytes:
    """Of what the body says, however it was written down."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()
