"""Which facts go to webhooks, and how an endpoint names those it wants."""

from typing import Final

from invoiceos_contracts import EVENTS, Event

_TOPICS: Final = frozenset(
    f"invoiceos.{aggregate}.v1"
    for aggregate in ("invoice", "wallet", "ephemeral", "payment", "ledger")
)
_OF_THE_PLATFORM: Final = frozenset({"invoiceos.ledger.reserve_stated.v1"})
PUBLISHED: Final[tuple[type[Event], ...]] = tuple(
    event
    for event in EVENTS.values()
    if event.TOPIC in _TOPICS and event.TYPE not in _OF_THE_PLATFORM
)
"""Facts of tenants; what concerns the platform as a whole is nobody's webhook."""
TEST_TYPE: Final = "invoiceos.webhook.test"


def matches(pattern: str, event_type: str) -> bool:
    """Whether an endpoint's pattern (`*`, a type, or a prefix ending in `.*`) takes this type."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def unknown(patterns: tuple[str, ...]) -> list[str]:
    """Patterns that no fact can ever match."""
    return [p for p in patterns if not any(matches(p, event.TYPE) for event in PUBLISHED)]
