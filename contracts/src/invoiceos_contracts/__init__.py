"""Every event Invoice OS states, typed: the only place where one is declared.

Partners install this package alone; it needs nothing but pydantic.
"""

from invoiceos_contracts.base import Amount, Event, Sealed, Shape
from invoiceos_contracts.cloudevents import Envelope, EnvelopeError, from_headers, to_headers
from invoiceos_contracts.ids import PLATFORM, decode, encode
from invoiceos_contracts.registry import EVENTS, TopicSpec, owned_by, topics

__all__ = [
    "EVENTS",
    "PLATFORM",
    "Amount",
    "Envelope",
    "EnvelopeError",
    "Event",
    "Sealed",
    "Shape",
    "TopicSpec",
    "decode",
    "encode",
    "from_headers",
    "owned_by",
    "to_headers",
    "topics",
]
