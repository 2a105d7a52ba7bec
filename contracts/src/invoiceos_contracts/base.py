"""What every event has in common: a frozen body, its tenant, and what its envelope says."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from invoiceos_contracts.ids import TenantId, encode
from invoiceos_contracts.strict_json import BadJson, parse

BODY_BYTES_MAX = 1_048_576
"""No event is longer: a broker takes no more in one record, if nobody told it to."""
MAX_MINOR = 10**18
"""No amount of any asset is larger than this many minor units; it fits a signed 64-bit integer."""

AssetCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2,11}$", examples=["USD"])]
MinorUnits = Annotated[int, Field(strict=True, ge=-MAX_MINOR, le=MAX_MINOR)]
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _written_out(value: object) -> object:
    """Refuse dates, numbers and times of nowhere, which pydantic would read as some time."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    raise ValueError("a time is text such as 2030-01-31T12:00:00Z, with its offset from UTC")


Moment = Annotated[datetime, BeforeValidator(_written_out)]
"""When something happened or will happen; RFC 3339 in JSON."""


class Shape(BaseModel):
    """A value inside an event or an answer: frozen; writers may not add fields of their own."""

    UNSAID: ClassVar[frozenset[str]] = frozenset()
    """Optional fields that an example leaves out, for they exclude others."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Amount(Shape):
    """An amount of money in minor units of its asset: 1250 of USD is 12.50 dollars."""

    amount_minor: MinorUnits
    asset: AssetCode


class Sealed(Shape):
    """Personal data that must travel: AES-256-GCM under the subject's own data key."""

    key_id: str
    """Names the key that wraps the data key."""
    wrapped_key: str
    """The data key, wrapped; base64."""
    nonce: str
    """96 bits; base64."""
    ciphertext: str
    """Base64."""


class Event(Shape):
    """One fact in the past tense, whole enough to act on without asking back."""

    TYPE: ClassVar[str]
    """CloudEvents type, `invoiceos.<aggregate>.<fact>.v<major>`."""
    TOPIC: ClassVar[str]
    OWNER: ClassVar[str]
    """The one service that states this fact."""
    KEY: ClassVar[tuple[str, str]]
    """Field that holds the aggregate's id, and the prefix of its public form."""
    CORRELATION: ClassVar[tuple[str, str]] = ("invoice_id", "inv")
    """Field whose id runs through the whole life; the aggregate's own where there is none."""
    SENSITIVE: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold sealed personal data."""

    tenant_id: TenantId

    @property
    def aggregate_id(self) -> UUID:
        """Id of the aggregate whose history this fact belongs to."""
        value: UUID = getattr(self, self.KEY[0])
        return value

    @property
    def subject(self) -> str:
        """Public id of the aggregate; also the record key in Kafka."""
        return encode(self.KEY[1], self.aggregate_id)

    @property
    def correlation(self) -> str:
        """Public id that runs through the whole life of an invoice."""
        field, prefix = self.CORRELATION
        value: UUID | None = getattr(self, field, None)
        return encode(prefix, value) if value is not None else self.subject

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse a body as a reader does: fields that a later version added are ignored.

        Raises `pydantic.ValidationError` when the body breaks the contract, and `BadJson` when it
        is longer than a broker takes or no strict JSON; both are a `ValueError`.
        """
        if len(body) > BODY_BYTES_MAX:
            message = f"the body is longer than {BODY_BYTES_MAX} bytes"
            raise BadJson(message)
        parse(body)
        return cls.model_validate_json(body, extra="ignore")

    def write(self) -> bytes:
        """The body as it goes on the wire: JSON, UTF-8."""
        return self.__pydantic_serializer__.to_json(self)


class DocumentStatus(StrEnum):
    """Where the document stands."""

    DRAFT = "draft"
    DELETED = "deleted"
    ISSUING = "issuing"
    ISSUE_FAILED = "issue_failed"
    OPEN = "open"
    VOID = "void"
    CLOSED = "closed"


class SettlementStatus(StrEnum):
    """How far the money is."""

    UNPAID = "unpaid"
    PROCESSING = "processing"
    PARTIAL = "partial"
    PAID = "paid"
    OVERPAID = "overpaid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"


class TimelinessStatus(StrEnum):
    """How the invoice stands against its dates."""

    ON_TIME = "on_time"
    OVERDUE = "overdue"
    EXPIRED = "expired"
    SETTLED_LATE = "settled_late"
    PAID_LATE = "paid_late"


class WalletMode(StrEnum):
    """Whether a wallet lives for one invoice or for a relation."""

    EPHEMERAL = "ephemeral"
    PERSISTENT = "persistent"


class HealthState(StrEnum):
    """State of a provider's circuit."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


def _open(known: type[StrEnum]) -> object:
    return Field(
        union_mode="left_to_right", description=f"One of {', '.join(known)}; more may come."
    )


Document = Annotated[DocumentStatus | str, _open(DocumentStatus)]
Settlement = Annotated[SettlementStatus | str, _open(SettlementStatus)]
Timeliness = Annotated[TimelinessStatus | str, _open(TimelinessStatus)]
Mode = Annotated[WalletMode | str, _open(WalletMode)]
Health = Annotated[HealthState | str, _open(HealthState)]
