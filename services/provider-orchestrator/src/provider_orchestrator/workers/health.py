"""How a chain's node serves us, written down as it is seen."""

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter, Gauge

from invoiceos_contracts.base import HealthState
from messaging import Database
from provider_orchestrator.commands.observe_health import observe_health
from provider_orchestrator.domain.health import STANDARD, Key, Observation
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.chain.profile import ChainProfile

CIRCUIT = Gauge(
    "invoiceos_provider_circuit",
    "0 closed, 1 half open, 2 open, as this process last saw it",
    ["provider", "rail", "currency"],
)
TRANSITIONS = Counter(
    "invoiceos_provider_circuit_changes_total",
    "Times a circuit changed its state",
    ["provider", "rail", "currency", "to"],
)
SEVERITIES = {HealthState.CLOSED: 0, HealthState.HALF_OPEN: 1, HealthState.OPEN: 2}
QUIET_FLUSH_S = 1.0
"""Good news of the provider's health is written at most this often; bad news at once."""


class HealthRecorder:
    """Collects how calls went and writes it down: bad news at once, good news in batches."""

    def __init__(self, database: Database, profile: ChainProfile) -> None:
        """Begin with nothing seen."""
        self._database = database
        self._key: Key = profile.key
        self._parameters = replace(STANDARD, open_for=timedelta(seconds=profile.open_s))
        self._seen: list[Observation] = []
        self._flushed = 0.0
        self._state: HealthState | None = None

    async def saw(self, outcome: Outcome, latency_us: int, cause: str = "answered") -> None:
        """Add an observation; write when it matters."""
        self._seen.append(Observation(datetime.now(UTC), outcome, latency_us, cause[:300]))
        quiet = outcome is Outcome.OK and self._state is HealthState.CLOSED
        if not quiet or time.monotonic() - self._flushed >= QUIET_FLUSH_S:
            await self.flush()

    async def flush(self) -> None:
        """Write what was collected; what cannot be written is kept for the next time."""
        if not self._seen:
            return
        jitter = self._parameters.jitter_ppm
        async with self._database.transaction() as tx:
            health, changes = await observe_health(
                tx,
                self._seen,
                key=self._key,
                parameters=self._parameters,
                jitter_ppm=random.randint(-jitter, jitter),  # noqa: S311
            )
        self._state = health.state
        key = self._key
        CIRCUIT.labels(key.provider, key.rail, key.currency).set(SEVERITIES[health.state])
        for key, change in changes:
            to = change.after.state
            TRANSITIONS.labels(key.provider, key.rail, key.currency, to).inc()
        self._seen = []
        self._flushed = time.monotonic()
