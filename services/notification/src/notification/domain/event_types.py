"""Which facts go to webhooks, and how an endpoint names those it wants."""

from typing import Final

from invoiceos_contracts.registry import PUBLISHED

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
