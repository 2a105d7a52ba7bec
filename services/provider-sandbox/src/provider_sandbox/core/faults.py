"""The fault plan: what goes wrong, how often, where. Set and read by REST, decided by the seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from provider_sandbox.core.chance import Draw

Rate = Annotated[float, Field(ge=0, le=1)]
Kind = Literal["", "unavailable", "throttled", "error_after", "hang", "response_lost"]


class Part(BaseModel):
    """A part of the plan; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Latency(Part):
    """Milliseconds before the answer: log-normal between its median and its 99th percentile."""

    median_ms: Annotated[float, Field(ge=0, le=60_000)] = 0
    p99_ms: Annotated[float, Field(ge=0, le=60_000)] = 0

    @model_validator(mode="after")
    def _in_order(self) -> "Latency":
        if self.p99_ms and self.p99_ms < self.median_ms:
            raise ValueError("p99_ms is below median_ms")
        return self

    def seconds(self, draw: Draw) -> float:
        """A latency, never above four times the 99th percentile."""
        if not self.median_ms:
            return 0.0
        sigma = math.log(max(self.p99_ms, self.median_ms) / self.median_ms) / 2.3263
        first, second = 1 - draw.of("latency"), draw.of("latency again")
        normal = math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)
        drawn = self.median_ms * math.exp(sigma * normal)
        return min(drawn, 4 * max(self.p99_ms, self.median_ms)) / 1000


class Outage(Part):
    """A window of the sandbox's time in which nothing is accepted."""

    start: float
    """Seconds since 1970."""
    end: float
    answer: Literal["reset", "503"] = "503"

    @model_validator(mode="after")
    def _in_order(self) -> "Outage":
        if self.end <= self.start:
            raise ValueError("an outage ends after its start")
        return self


class Faults(Part):
    """What goes wrong with one operation. Rates of what excludes each other add up to 1 at most."""

    latency: Latency = Latency()
    unavailable: Rate = 0
    """503 before acceptance: nothing happened."""
    throttled: Rate = 0
    """429 before acceptance, with Retry-After."""
    retry_after_s: Annotated[int, Field(ge=0, le=3600)] = 1
    error_after: Rate = 0
    """500 although it happened."""
    hang: Rate = 0
    """No answer for `hang_ms`, then the right one."""
    hang_ms: Annotated[int, Field(ge=0, le=120_000)] = 1000
    effect: Literal["early", "late"] = "early"
    """Whether what hangs happens before the pause, or only at its end."""
    response_lost: Rate = 0
    """It happened, then the connection is reset."""
    declined: Rate = 0
    """Share of payments, refunds, transfers and payouts that are said no to."""

    @model_validator(mode="after")
    def _exclusive(self) -> "Faults":
        rates = (self.unavailable, self.throttled, self.error_after, self.hang, self.response_lost)
        if math.fsum(rates) > 1:
            raise ValueError("unavailable, throttled, error_after, hang, response_lost exceed 1")
        return self

    def kind(self, draw: Draw) -> Kind:
        """What goes wrong this time; nothing, mostly."""
        left = draw.of("kind")
        kinds: tuple[Kind, ...] = (
            *("unavailable", "throttled", "error_after", "hang", "response_lost"),
        )
        for kind in kinds:
            left -= getattr(self, kind)
            if left < 0:
                return kind
        return ""


class DeliveryFaults(Part):
    """How webhooks travel."""

    delay: Latency = Latency()
    """In the sandbox's time, before the first attempt."""
    duplicate: Rate = 0
    reorder: Rate = 0
    """Held back for `reorder_s`, so that later ones overtake it."""
    reorder_s: Annotated[float, Field(ge=0, le=86_400)] = 5
    drop: Rate = 0
    """Never sent, and not tried again: only the API still tells of it."""


class ProviderPlan(Part):
    """The faults of one provider: `default` for all it does, `operations` by name instead of it."""

    default: Faults = Faults()
    operations: dict[str, Faults] = {}
    webhooks: DeliveryFaults = DeliveryFaults()
    outages: Annotated[list[Outage], Field(max_length=100)] = []
    search_lag_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """Age from which an object is found by a search (Stripe says: up to a minute)."""


class Plan(Part):
    """Everything that goes wrong. `seed` is not part of it: it belongs to the process's state."""

    providers: dict[str, ProviderPlan] = {}

    def of(self, provider: str) -> ProviderPlan:
        """A provider's part; without faults where it is not named."""
        return self.providers.get(provider, _NOTHING)

    def unknown(self, operations: Mapping[str, set[str]]) -> list[str]:
        """Names that no provider has, as `provider` or `provider.operation`."""
        found = [name for name in self.providers if name not in operations]
        for name, plan in self.providers.items():
            known = operations.get(name, set())
            found += [f"{name}: {entry}" for entry in plan.operations if entry not in known]
        return found


_NOTHING = ProviderPlan()


@dataclass(frozen=True)
class Decision:
    """What happens to one request."""

    draw: Draw
    faults: Faults
    kind: Kind
    outage: Outage | None

    @property
    def declined(self) -> bool:
        """Whether the payment is said no to."""
        return self.draw.happens("declined", self.faults.declined)


def decide(plan: ProviderPlan, operation: str, draw: Draw, now: float) -> Decision:
    """What happens to a request at this moment."""
    faults = plan.operations.get(operation, plan.default)
    outage = next((one for one in plan.outages if one.start <= now < one.end), None)
    return Decision(draw, faults, faults.kind(draw), outage)
