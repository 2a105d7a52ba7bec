"""Public identifiers: a prefix that names the kind, and the UUID in Crockford base 32 (TypeID 0.3).

Inside the platform an id is a `UUID`; in events, answers and links it is text such as
`inv_01jd2v7k3rf6g8m4s9t0w1x2y3`. The text sorts like the UUID, so UUIDv7 ids sort by time.
"""

from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_LETTERS = frozenset(_ALPHABET)
_TO_PYTHON = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_LENGTH = 26

PLATFORM = UUID(int=0)
"""Tenant of the facts that concern the platform as a whole, such as a provider's health."""


@lru_cache(maxsize=16_384)
def encode(prefix: str, value: UUID) -> str:
    """Text form of an id: `encode("inv", uuid)` -> `inv_...` (26 letters after the prefix)."""
    number = value.int
    pairs = [_PAIRS[(number >> (10 * place)) & 1023] for place in reversed(range(_LENGTH // 2))]
    return f"{prefix}_{''.join(pairs)}"


@lru_cache(maxsize=16_384)
def decode(prefix: str, text: str) -> UUID:
    """Id in a text form; raises `ValueError` when the prefix or the letters are wrong."""
    found, separator, letters = text.rpartition("_")
    if found != prefix or not separator or len(letters) != _LENGTH or letters[0] > "7":
        message = f"an id of this kind looks like {prefix}_ and {_LENGTH} letters or digits"
        raise ValueError(message)
    if not _LETTERS.issuperset(letters):
        message = f"an id is made of the letters {_ALPHABET}"
        raise ValueError(message)
    return UUID(int=int(letters.translate(_TO_PYTHON), 32))


class PublicId:
    """Pydantic annotation: a `UUID` in Python, its prefixed text in JSON."""

    def __init__(self, prefix: str) -> None:
        """Name the kind by its prefix, for example `inv`."""
        self.prefix = prefix

    def _read(self, value: object) -> UUID:
        if isinstance(value, UUID):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("id_type", "an id is text")
        try:
            return decode(self.prefix, value)
        except ValueError as error:
            raise PydanticCustomError("id_form", "{reason}", {"reason": str(error)}) from error

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read text or a UUID, write text."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self._read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: encode(self.prefix, value),
                return_schema=core_schema.str_schema(),
                when_used="json",
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text form."""
        del schema, handler
        pattern = f"^{self.prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"
        return {"type": "string", "pattern": pattern, "examples": [encode(self.prefix, PLATFORM)]}


TenantId = Annotated[UUID, PublicId("ten")]
ApiKeyId = Annotated[UUID, PublicId("key")]
CustomerId = Annotated[UUID, PublicId("cus")]
InvoiceId = Annotated[UUID, PublicId("inv")]
InvoiceRequestId = Annotated[UUID, PublicId("req")]
WalletId = Annotated[UUID, PublicId("wal")]
PaymentId = Annotated[UUID, PublicId("pay")]
PaymentIntentId = Annotated[UUID, PublicId("pin")]
RefundId = Annotated[UUID, PublicId("rfd")]
DisputeId = Annotated[UUID, PublicId("dsp")]
PayoutId = Annotated[UUID, PublicId("pyo")]
PayoutBatchId = Annotated[UUID, PublicId("pob")]
ReservationId = Annotated[UUID, PublicId("rsv")]
RoutingDecisionId = Annotated[UUID, PublicId("rtd")]
TransactionId = Annotated[UUID, PublicId("txn")]
HoldId = Annotated[UUID, PublicId("hld")]
StatementId = Annotated[UUID, PublicId("stm")]
NotificationId = Annotated[UUID, PublicId("ntf")]
WebhookEndpointId = Annotated[UUID, PublicId("whe")]
WebhookDeliveryId = Annotated[UUID, PublicId("whd")]
BulkJobId = Annotated[UUID, PublicId("blk")]
PartnerName = Annotated[str, Field(pattern=r"^[a-z0-9-]{2,40}$", examples=["acme"])]
"""Names a partner for good, and its topics: `partner.<name>.requests.v1` and so on."""
