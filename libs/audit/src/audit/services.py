"""What the auditor knows of the services: their names, their schemas, what they subscribe to."""

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from invoiceos_contracts.registry import EVENTS
from messaging import Subscriptions
from money import ASSETS, EXPONENT_MAX

if TYPE_CHECKING:
    from chassis.runtime import Service

SERVICES = tuple(sorted({point.name for point in entry_points(group="invoiceos.services")}))
"""Every service that is installed; nothing of them is imported for it."""
SCHEMAS = tuple(name.replace("-", "_") for name in SERVICES)


def everywhere(statement: str, schemas: tuple[str, ...] = SCHEMAS) -> str:
    """A statement for each service's schema, `{schema}` standing for its name, put together."""
    return "\nunion all\n".join(
        statement.replace("{schema}", schema).replace("{service}", schema.replace("_", "-"))
        for schema in schemas
    )


@cache
def parameters() -> dict[str, Any]:
    """What queries may ask of the services' own declarations, as parameters of a statement."""
    found: dict[str, Any] = {
        "event_types": list(EVENTS),
        "event_topics": [event.TOPIC for event in EVENTS.values()],
        "event_owners": [event.OWNER for event in EVENTS.values()],
        "asset_codes": list(ASSETS),
        "asset_scales": [10 ** (EXPONENT_MAX - unit.exponent) for unit in ASSETS.values()],
        "asset_currencies": [unit.currency for unit in ASSETS.values()],
    }
    loaded: dict[str, Service] = {
        point.name: point.load() for point in entry_points(group="invoiceos.services")
    }
    for service in loaded.values():
        group = service.group or service.name
        subscriptions = Subscriptions(group, service.subscriptions)
        found[f"group_{service.schema}"] = group
        found[f"groups_{service.schema}"] = [each.group for each in service.groups()]
        found[f"types_{service.schema}"] = sorted(subscriptions.types)
        found[f"timers_{service.schema}"] = sorted(service.timers)
    return found
