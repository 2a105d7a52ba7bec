"""One member of a group as its process sees it: joining, heartbeats, rebalances, commits."""

import asyncio
import contextlib
import inspect
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from tests.simulator.kafka.connection import NO_ANSWER, Connection
from tests.simulator.kafka.groups import Application, Group, Joined
from tests.simulator.node import Node

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka

log = structlog.get_logger()
_SIGNATURE = inspect.signature(AIOKafkaConsumer)


@dataclass(slots=True)
class Reading:
    """Where one assigned partition is."""

    position: int | None = None
    highwater: int | None = None
    fetched: deque[Any] = field(default_factory=deque)


class Membership(Connection):
    """What the process believes of its membership, which may not be what the broker knows.

    The order of calls and the habits after an error are those of aiokafka 0.14: before it joins
    anew it lets the listener finish, however long that takes, while its heartbeats go on; a commit
    or a heartbeat that is refused makes it join under a new member id. As it sends its instance id
    with nothing but that, a static member that was replaced takes its place back.
    """

    def __init__(self, kafka: "SimKafka", node: Node, *topics: str, **settings: Any) -> None:
        given = _SIGNATURE.bind(*topics, **settings)
        given.apply_defaults()
        self.settings = given.arguments
        if self.settings["enable_auto_commit"]:
            raise ValueError("only consumers that commit explicitly are simulated")
        super().__init__(kafka, node, self.settings["request_timeout_ms"])
        self.group_id: str = self.settings["group_id"]
        self.member_id = ""
        self.generation = -1
        self._topics = tuple(sorted(topics))
        self._listener: ConsumerRebalanceListener | None = None
        self._assigned: dict[TopicPartition, Reading] | None = None
        self._reassigning = True
        self._prepared = False
        self._rejoin = True
        self._closed = False
        self._error: KafkaError | None = None
        self._changed = asyncio.Event()
        """Something the coordination waits for."""
        self._waiters: list[asyncio.Future[None]] = []
        self._polling = False
        self._polled_at = 0.0
        self._beating: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- the life of a member --------------------------------------------------------------------

    def subscribe(
        self,
        topics: Iterable[str] = (),
        pattern: str | None = None,
        listener: ConsumerRebalanceListener | None = None,
    ) -> None:
        """Say what to read, before `start`; no topic is made later, so a pattern is a list."""
        if pattern is not None:
            assert not topics, "topics and a pattern exclude each other"
            topics = [name for name in self._kafka.partitions.topics if re.match(pattern, name)]
        self._topics = tuple(sorted(topics))
        self._listener = listener

    async def start(self) -> None:
        """Join the group and wait for the first assignment.

        Raises `KafkaConnectionError` where the broker is away.
        """
        try:
            await self.request(lambda: None)
        except NO_ANSWER as error:
            self._kafka.closed(self)
            raise KafkaConnectionError("Unable to bootstrap") from error
        self._polled_at = self._kafka.now()
        self._task = asyncio.create_task(self._coordinate())
        await self._until_assigned()

    async def stop(self) -> None:
        """End the rebalance under way, then leave; a static member only falls silent."""
        if self._closed:
            return
        self._closed = True
        self._changed.set()
        if self._task is not None:
            await self._task
        self._stop_beating()
        if self.generation > 0 and self.settings["group_instance_id"] is None:
            member_id = self.member_id
            try:
                await self.request(lambda: self._group.leave(member_id))
            except KafkaError as error:
                log.info("consumer.not_left", error=repr(error))
        self._wake()
        self._kafka.closed(self)

    def _begin(self, readings: dict[TopicPartition, Reading]) -> None:
        """The partitions are there: begin to read them."""
        raise NotImplementedError

    @property
    def _group(self) -> Group:
        return self._kafka.group(self.group_id)

    # -- coordination ----------------------------------------------------------------------------

    async def _coordinate(self) -> None:
        while not self._closed:
            if not self._rejoin:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                await self._become_active()
            except KafkaError as error:
                await self._tell_the_poll(error)

    async def _become_active(self) -> None:
        if not self._prepared:
            self._reassigning = True
            await self._notify("on_partitions_revoked")
            self._prepared = True
        self._stop_beating()
        places = None
        if self._assigned is None or not self._is_idle():
            places = await self._join()
        if places is None:
            await asyncio.sleep(self.settings["retry_backoff_ms"] / 1000)
            return
        readings = {place: Reading() for place in places}
        self._assigned = readings
        self._reassigning = False
        self._wake()
        self._begin(readings)
        await self._notify("on_partitions_assigned")
        self._prepared = False
        self._beat_later(self.settings["heartbeat_interval_ms"] / 1000)

    async def _notify(self, what: str) -> None:
        """Call the listener, whose failure is logged and passed over."""
        if self._listener is None:
            return
        try:
            await getattr(self._listener, what)(set(self._assigned or ()))
        except Exception as error:
            log.exception("listener.failed", call=what, error=repr(error))

    async def _join(self) -> tuple[TopicPartition, ...] | None:
        """The partitions of this member in a new generation; None where it has to try again."""
        group, applying = self._group, self._self()
        try:
            if not self.member_id and applying.instance is None:
                self.member_id = await self.request(lambda: group.introduce(applying.name))
            member_id = self.member_id
            joined = await self.request(lambda: group.join(member_id, applying))
        except UnknownMemberIdError:
            self._reset_generation()
            return None
        except NO_ANSWER:
            return None
        self.member_id, self.generation = joined.member, joined.generation
        return await self._sync(joined)

    async def _sync(self, joined: Joined) -> tuple[TopicPartition, ...] | None:
        self._rejoin = False
        places: tuple[TopicPartition, ...] | None = None
        try:
            places = await self.request(lambda: self._group.sync(joined.member, joined.generation))
        except (RebalanceInProgressError, *NO_ANSWER):
            self._rejoin = True
        except (UnknownMemberIdError, IllegalGenerationError):
            self._reset_generation()
        except KafkaError:
            self._rejoin = True
            raise
        return places

    def _self(self) -> Application:
        session_ms = self.settings["session_timeout_ms"]
        return Application(
            name=self.node.name,
            instance=self.settings["group_instance_id"],
            topics=self._topics,
            session_s=session_ms / 1000,
            rebalance_s=(self.settings["rebalance_timeout_ms"] or session_ms) / 1000,
        )

    def _reset_generation(self) -> None:
        self.member_id, self.generation = "", -1
        self._rejoin_soon()

    def _rejoin_soon(self) -> None:
        self._rejoin = True
        self._changed.set()

    async def _tell_the_poll(self, error: KafkaError) -> None:
        """What the coordination cannot mend is raised by the next poll; until then it rests."""
        self._error = KafkaError(repr(error))
        self._wake()
        while self._error is not None and not self._closed:
            self._changed.clear()
            await self._changed.wait()

    # -- heartbeats ------------------------------------------------------------------------------

    def _beat_later(self, seconds: float) -> None:
        self._beating = self._kafka.loop.call_later(seconds, self._beat, context=self._context)

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    def _is_idle(self) -> bool:
        """Whether nobody has polled for so long that the partitions had better go to others."""
        idle_s = self._kafka.now() - self._polled_at
        return not self._polling and idle_s >= self.settings["max_poll_interval_ms"] / 1000

    def _beat(self) -> None:
        """Tell the broker that we live, and learn of a rebalance or of having been thrown out."""
        next_s = self.settings["heartbeat_interval_ms"] / 1000
        if self._is_idle() and not self._kafka.away:
            self._kafka.reached("kafka.member_idle")
            self._give_up_membership()
            return
        if self._kafka.away:
            next_s = self.settings["retry_backoff_ms"] / 1000
        else:
            try:
                self._group.heartbeat(self.member_id, self.generation)
            except RebalanceInProgressError:
                self._rejoin_soon()
            except (UnknownMemberIdError, IllegalGenerationError):
                self._reset_generation()
                return
        self._beat_later(next_s)

    def _give_up_membership(self) -> None:
        if self.settings["group_instance_id"] is None:
            with contextlib.suppress(UnknownMemberIdError):
                self._group.leave(self.member_id)
        self._reset_generation()

    # -- waiting ---------------------------------------------------------------------------------

    async def _until_assigned(self) -> None:
        while self._reassigning and not self._closed:
            await self._waiter()
            self._raise_errors()

    def _raise_errors(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            self._changed.set()
            raise error

    def _waiter(self) -> "asyncio.Future[None]":
        waiter: asyncio.Future[None] = self._kafka.future()
        self._waiters.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- commits ---------------------------------------------------------------------------------

    async def commit(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        """Commit offsets of assigned partitions, the positions where none are given.

        Raises `CommitFailedError` where the group has gone on without this member,
        `IllegalStateError` for a partition that is not assigned, and another `KafkaError` where the
        broker does not answer (half of the time; else it asks until there is an answer, as aiokafka
        always does).
        """
        if self._assigned is None:
            raise IllegalStateError("No partitions assigned")
        if offsets is None:
            offsets = {p: r.position for p, r in self._assigned.items() if r.position is not None}
        for place in offsets:
            if place not in self._assigned:
                raise IllegalStateError(f"Partition {place} is not assigned")
        kept = dict(offsets)
        while kept:
            try:
                await self.request(self._committing(kept))
                return
            except RebalanceInProgressError as error:
                self._rejoin_soon()
                raise self._refused() from error
            except (UnknownMemberIdError, IllegalGenerationError) as error:
                self._reset_generation()
                raise self._refused() from error
            except NO_ANSWER:
                if self._kafka.even():
                    raise
                await asyncio.sleep(self.settings["retry_backoff_ms"] / 1000)

    def _refused(self) -> CommitFailedError:
        self._kafka.reached("kafka.commit_refused")
        return CommitFailedError("the group has already rebalanced")

    def _committing(self, offsets: Mapping[TopicPartition, int]) -> Callable[[], None]:
        member_id, generation = self.member_id, self.generation

        def apply() -> None:
            kafka = self._kafka
            fails = kafka.chance("commit_failed")
            if self.cut:
                kafka.reached("kafka.commit_after_crash")
            if kafka.chance("commit_lost"):
                kafka.reached("kafka.commit_lost")
            elif not fails or kafka.even():
                self._group.commit(member_id, generation, offsets)
            if fails:
                kafka.reached("kafka.commit_failed")
                raise KafkaError("the commit failed")

        return apply
