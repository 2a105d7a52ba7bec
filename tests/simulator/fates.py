"""What goes wrong in a run: chosen by the seed, each kind on or off, so that rare mixes appear."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tests.simulator.chain import ChainFaults
from tests.simulator.clients import ClientFaults
from tests.simulator.cluster import CallFaults
from tests.simulator.gate import DatabaseFaults
from tests.simulator.kafka import KafkaFaults
from tests.simulator.receivers import MailFaults, ReceiverFaults

if TYPE_CHECKING:
    from tests.simulator.simulation import Simulation

F = TypeVar("F")

FAULTS = ("clock.skewed",)
PARTS = {
    "database": DatabaseFaults,
    "calls": CallFaults,
    "kafka": KafkaFaults,
    "chain": ChainFaults,
    "clients": ClientFaults,
    "receivers": ReceiverFaults,
    "mail": MailFaults,
}


@dataclass(frozen=True)
class Plan:
    """The circumstances of one seed."""

    seed: int
    seconds: float
    """Virtual seconds with faults; then comes the quiet."""
    companies: int
    invoices: int
    """Invoices of each company."""
    database: DatabaseFaults
    calls: CallFaults
    kafka: KafkaFaults
    chain: ChainFaults
    clients: ClientFaults
    receivers: ReceiverFaults
    mail: MailFaults
    crash_every_s: float | None
    pause_every_s: float | None
    restart_database_at: float | None
    skew_s: float
    """How far the services' own clock is from the database's."""
    idle_s: float
    """How long relay, timers and replays sleep when there is nothing to do."""
    every_event: bool
    """Whether companies want every event at their endpoint; else those of payments alone."""
    stop_every_s: float | None = None
    """How often a process is asked to end, as a release asks it: it drains what is in flight."""
    chain_away_s: float | None = None
    """How long the node is away at first, longer than a rail may be silent: issuing fails."""
    rebalance_failing: bool = False
    """Whether a group shares out anew just while a batch of its fails: it is given back."""

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The same circumstances for the same seed."""
        chooser = random.Random(f"plan {seed}")

        def sometimes(value: float, probability: float = 0.5) -> float:
            return value if chooser.random() < probability else 0

        plan = cls(
            seed=seed,
            seconds=chooser.uniform(4, 16),
            companies=chooser.choice((1, 1, 1, 2)),
            invoices=chooser.choice((1, 1, 2)),
            database=DatabaseFaults(
                crash=sometimes(chooser.choice((0.001, 0.004, 0.01))),
                cut=sometimes(chooser.choice((0.001, 0.005))),
                serialization=sometimes(chooser.choice((0.002, 0.01))),
                slow=sometimes(chooser.choice((0.001, 0.01)), 0.3),
            ),
            calls=CallFaults(
                request_lost=sometimes(0.05, 0.4),
                answer_lost=sometimes(chooser.choice((0.05, 0.2))),
            ),
            kafka=_some(chooser, KafkaFaults, _KAFKA),
            chain=_some(chooser, ChainFaults, _CHAIN),
            clients=_some(chooser, ClientFaults, _CLIENTS),
            receivers=_some(chooser, ReceiverFaults, _RECEIVERS),
            mail=_some(chooser, MailFaults, _MAIL),
            crash_every_s=chooser.choice((None, 2.0, 6.0)),
            pause_every_s=chooser.choice((None, None, 5.0)),
            restart_database_at=chooser.choice((None, None, None, chooser.uniform(1, 6))),
            skew_s=chooser.choice((0.0, 0.0, 0.0, 3600.0, -3600.0)),
            idle_s=chooser.choice((1.0, 2.0, 3.0)),
            every_event=chooser.random() < 0.2,
        )
        limit = chooser.choice((0, 0, 0, 0, 0, 2, 6, 20))
        return replace(
            plan,
            chain=replace(plan.chain, range_blocks_max=limit),
            stop_every_s=chooser.choice((None, None, 3.0)),
            chain_away_s=chooser.choice((None, None, None, None, None, chooser.uniform(7, 14))),
            rebalance_failing=chooser.random() < 0.5,
        )

    def as_json(self) -> dict[str, Any]:
        """For a file of a seed that failed; what is 0 or off is left out."""
        plain = asdict(self)
        for part, kind in PARTS.items():
            normal = asdict(kind())
            plain[part] = {k: v for k, v in plain[part].items() if v != normal[k]}
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Plan":
        """From such a file."""
        parts = {part: kind(**plain[part]) for part, kind in PARTS.items()}
        return cls(**{**plain, **parts})

    def simpler(self) -> Iterator["Plan"]:
        """Plans with one circumstance less."""
        for part, kind in PARTS.items():
            mine, normal = getattr(self, part), kind()
            if mine != normal:
                yield replace(self, **{part: normal})
            for one in fields(kind):
                if getattr(mine, one.name) != getattr(normal, one.name):
                    calmer = replace(mine, **{one.name: getattr(normal, one.name)})
                    yield replace(self, **{part: calmer})
        for name, calm in _CALM.items():
            if getattr(self, name) != calm:
                yield replace(self, **{name: calm})
        if self.seconds > 3:
            yield replace(self, seconds=self.seconds / 2)


_CALM: dict[str, Any] = {
    "companies": 1,
    "invoices": 1,
    "crash_every_s": None,
    "pause_every_s": None,
    "restart_database_at": None,
    "skew_s": 0.0,
    "every_event": False,
    "stop_every_s": None,
    "chain_away_s": None,
    "rebalance_failing": False,
}
_KAFKA: dict[str, float] = {
    "ack_lost": 0.05,
    "append_refused": 0.05,
    "ack_slow": 0.03,
    "append_doubled": 0.1,
    "records_late": 0.05,
    "commit_lost": 0.1,
    "commit_failed": 0.1,
    "rewound": 0.3,
    "poll_small": 0.5,
    "poll_failed": 0.02,
    "broker_away_per_minute": 2,
    "leader_away_per_minute": 4,
    "rebalance_forced_per_minute": 10,
    "member_thrown_out_per_minute": 4,
}
_CHAIN: dict[str, float] = {
    "reorganised": 0.1,
    "chased": 0.5,
    "shorter": 0.3,
    "dropped": 0.2,
    "later": 0.3,
    "losing_branch": 0.3,
    "stalled": 0.02,
    "reordered": 0.3,
    "strangers": 0.3,
    "away": 0.02,
    "behind": 0.05,
    "lost": 0.05,
    "late": 0.02,
    "http_500": 0.05,
    "throttled": 0.03,
    "garbage": 0.05,
    "call_refused": 0.03,
    "call_unanswered": 0.03,
    "shuffled": 0.5,
    "moved_within_batch": 0.1,
}
_RECEIVERS: dict[str, float] = {
    "failed": 0.2,
    "throttled": 0.1,
    "refused_connection": 0.2,
    "timed_out_before": 0.1,
    "timed_out_after": 0.1,
    "reset_after": 0.2,
    "slow": 0.1,
    "slow_body": 0.1,
    "redirected": 0.1,
    "gone": 0.05,
}
_MAIL: dict[str, float] = {
    "connection_refused": 0.2,
    "transient": 0.1,
    "disconnected_before": 0.1,
    "disconnected_after": 0.2,
    "timed_out_after": 0.1,
    "slow": 0.1,
    "bad_address": 0.1,
}
_CLIENTS: dict[str, float] = {
    "hangs_up": 0.1,
    "forgets": 0.1,
    "twice_at_once": 0.2,
    "repeats": 0.3,
    "reuses_key": 0.2,
}


def _some(chooser: random.Random, kind: type[F], typical: dict[str, float]) -> F:
    """Each kind of fault on or off by itself, and where on from a third to all of what is typical.

    One seed in four has none of these, so that a breach there is nobody's fault but ours.
    """
    chosen: dict[str, Any] = {}
    if chooser.random() < 0.75:
        for name, value in typical.items():
            if chooser.random() < 0.35:
                chosen[name] = value * chooser.uniform(0.33, 1)
    assert typical.keys() <= {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**chosen)


class Fates:
    """Makes a plan's faults happen while they may."""

    def __init__(
        self,
        plan: Plan,
        chooser: random.Random,
        world: "Simulation",
        reached: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._chooser = chooser
        self._world = world
        self._cluster = world.cluster
        self._gate = world.gate
        self._reached = reached

    async def run(self) -> None:
        """Until the plan's time is over; then nothing goes wrong any more."""
        self._gate.faults = self._plan.database
        self._cluster.faults = self._plan.calls
        self._world.kafka.disturb(self._plan.kafka)
        self._world.chain.faults = self._plan.chain
        self._world.receivers.faults = self._plan.receivers
        self._world.mail.faults = self._plan.mail
        if self._plan.skew_s:
            self._reached("clock.skewed")
        if self._plan.chain_away_s is not None:
            self._world.chain.go_away(self._plan.chain_away_s)
        try:
            async with asyncio.timeout(self._plan.seconds):
                await asyncio.gather(
                    self._crashes(),
                    self._stops(),
                    self._pauses(),
                    self._restart(),
                    self._rebalances(),
                )
                await asyncio.Event().wait()
        except TimeoutError:
            self._gate.faults = DatabaseFaults()
            self._cluster.faults = CallFaults()
            self._world.kafka.calm()
            self._world.chain.calm()
            self._world.receivers.calm()
            self._world.mail.calm()

    async def _crashes(self) -> None:
        while self._plan.crash_every_s is not None:
            await asyncio.sleep(self._chooser.expovariate(1 / self._plan.crash_every_s))
            victims = [p.node for p in self._cluster.processes.values() if p.node.alive]
            wanted = self._chooser.choice((1, 1, 1, 2))
            for node in self._chooser.sample(victims, min(wanted, len(victims))):
                self._cluster.crash(node)

    async def _stops(self) -> None:
        while self._plan.stop_every_s is not None:
            await asyncio.sleep(self._chooser.expovariate(1 / self._plan.stop_every_s))
            self._cluster.stop(self._chooser.choice(list(self._cluster.processes)))

    async def _pauses(self) -> None:
        while self._plan.pause_every_s is not None:
            await asyncio.sleep(self._chooser.expovariate(1 / self._plan.pause_every_s))
            seconds = self._chooser.choice((0.5, 3.0, 12.0, 35.0))
            if self._chooser.random() < 0.5 or not await self._pause_sending(seconds):
                process = self._chooser.choice(list(self._cluster.processes.values()))
                self._cluster.pause(process.node, seconds)

    async def _pause_sending(self, seconds: float) -> bool:
        """Pause whoever has records on their way to the broker, if anybody soon has.

        A relay that stands still just then is what its lease is for; chance alone hardly hits it.
        """
        for _ in range(2000):
            if any(self._cluster.pause(one, seconds) for one in self._world.kafka.sending()):
                return True
            await asyncio.sleep(0.0005)
        return False

    async def _restart(self) -> None:
        if self._plan.restart_database_at is None:
            return
        await asyncio.sleep(self._plan.restart_database_at)
        for _ in range(400):  # in the middle of somebody's batch, if there soon is one
            if any(not one.offsets._idle.is_set() for one in self._consumers()):
                break
            await asyncio.sleep(0.005)
        self._gate.restart(self._chooser.choice((0.2, 2.0, 8.0)))

    async def _rebalances(self) -> None:
        while self._plan.rebalance_failing:
            await asyncio.sleep(0.05)
            for consumer in self._consumers():
                failing = consumer.processor.failing_since is not None
                if failing and self._chooser.random() < 0.2:
                    self._world.kafka.rebalance(consumer.processor.group)

    def _consumers(self) -> Iterator[Any]:
        for name in self._cluster.processes:
            runtime = self._cluster.runtime(name)
            if runtime is not None:
                yield from runtime.consumers
