"""The group coordinator: who reads what, since when, and up to where it is done.

Kafka's classic protocol: members join, the leader's `sync` shares the partitions out, heartbeats
keep a member in and tell it of a rebalance. A static member (one with an instance id) that comes
back under a new member id takes its former self's place without a rebalance.
"""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    IllegalGenerationError,
    RebalanceInProgressError,
    UnknownError,
    UnknownMemberIdError,
)

if TYPE_CHECKING:
    from tests.simulator.kafka.simulated import SimKafka


class Phase(Enum):
    """Where a group is on its way from one generation to the next."""

    EMPTY = "empty"
    PREPARING = "preparing"
    COMPLETING = "completing"
    STABLE = "stable"


class Application(NamedTuple):
    """What a client says of itself when it joins."""

    name: str
    instance: str | None
    topics: tuple[str, ...]
    session_s: float
    rebalance_s: float


class Joined(NamedTuple):
    """The broker's answer."""

    member: str
    generation: int
    leader: str


@dataclass(eq=False)
class Member:
    """One member as the coordinator sees it."""

    id: str
    application: Application
    deadline: float = 0.0
    joining: asyncio.Future[Joined] | None = None
    syncing: asyncio.Future[tuple[TopicPartition, ...]] | None = None
    places: tuple[TopicPartition, ...] = ()
    gone: bool = False


class Group:
    """One consumer group."""

    def __init__(self, kafka: "SimKafka", name: str) -> None:
        self._kafka = kafka
        self.name = name
        self.phase = Phase.EMPTY
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.offsets: dict[TopicPartition, int] = {}
        self.topics: dict[str, None] = {}
        """Every topic that was ever subscribed."""
        self._instances: dict[str, str] = {}
        self._introduced: dict[str, None] = {}
        self._leader = ""
        self._rounds = 0

    # -- joining ---------------------------------------------------------------------------------

    def introduce(self, name: str) -> str:
        """A member id for somebody new, so that asking to join twice makes one member of him."""
        member_id = self._kafka.name_of(name)
        self._introduced[member_id] = None
        return member_id

    def join(self, member_id: str, application: Application) -> "asyncio.Future[Joined]":
        """Ask to be in the next generation, or to get back into this one."""
        self.topics.update(dict.fromkeys(application.topics))
        if member_id and member_id not in self._introduced:
            return self._rejoin(member_id, application)
        self._introduced.pop(member_id, None)
        former = self._instances.get(application.instance or "")
        member = Member(member_id or self._kafka.name_of(application.name), application)
        if former is not None:
            return self._replace(self.members[former], member)
        self._admit(member)
        if self.phase is not Phase.PREPARING:
            self._prepare()
        return self._await_join(member)

    def _rejoin(self, member_id: str, application: Application) -> "asyncio.Future[Joined]":
        current = self._instances.get(application.instance or "")
        if current is not None and current != member_id:
            self._kafka.reached("kafka.member_fenced")
            raise UnknownError  # the broker says FENCED_INSTANCE_ID, which aiokafka has no name for
        member = self._known(member_id)
        same = application.topics == member.application.topics
        member.application = application
        if self.phase is Phase.STABLE and same and member_id != self._leader:
            return self._kafka.done(Joined(member_id, self.generation, self._leader))
        if self.phase is not Phase.PREPARING:
            self._prepare()
        return self._await_join(member)

    def _replace(self, former: Member, member: Member) -> "asyncio.Future[Joined]":
        """A static member is back: it inherits, and its former self is fenced."""
        self._kafka.reached("kafka.instance_returned")
        for pending in (former.joining, former.syncing):
            if pending is not None and not pending.done():
                self._kafka.reached("kafka.member_fenced")
                pending.set_exception(UnknownError())
        former.gone = True
        del self.members[former.id]
        member.places = former.places
        self._admit(member)
        leader = self._leader
        if leader == former.id:
            self._leader = member.id
        if self.phase is Phase.STABLE and member.application.topics == former.application.topics:
            # The leader is told the old name, so that it does not share out anew.
            return self._kafka.done(Joined(member.id, self.generation, leader))
        if self.phase is not Phase.PREPARING:
            self._prepare()
        return self._await_join(member)

    def _admit(self, member: Member) -> None:
        self.members[member.id] = member
        if member.application.instance is not None:
            self._instances[member.application.instance] = member.id
        self._live(member)
        self._watch(member)

    def _await_join(self, member: Member) -> "asyncio.Future[Joined]":
        if member.joining is not None and not member.joining.done():
            member.joining.cancel()
        member.joining = joining = self._kafka.future()
        self._complete_if_all_joined()
        return joining

    # -- rebalancing -----------------------------------------------------------------------------

    def rebalance(self) -> bool:
        """Share out anew; whether there was anything to share out."""
        if self.phase is not Phase.STABLE:
            return False
        self._prepare()
        return True

    def _prepare(self) -> None:
        for member in self.members.values():
            if member.syncing is not None and not member.syncing.done():
                member.syncing.set_exception(RebalanceInProgressError())
            member.syncing = None
            if self.phase is Phase.COMPLETING:
                member.places = ()
        self.phase = Phase.PREPARING
        self._rounds += 1
        patience = max((m.application.rebalance_s for m in self.members.values()), default=0)
        self._kafka.later(patience, self._time_out, self._rounds)

    def _time_out(self, round_: int) -> None:
        if self.phase is not Phase.PREPARING or round_ != self._rounds:
            return
        for member in list(self.members.values()):
            if member.joining is None and member.application.instance is None:
                self._kafka.reached("kafka.rebalance_timed_out")
                self._forget(member)
        if self.members and all(m.joining is None for m in self.members.values()):
            # Only silent static members are left: their sessions decide.
            self._kafka.later(1, self._time_out, round_)
        else:
            self._complete()

    def _complete_if_all_joined(self) -> None:
        if self.phase is Phase.PREPARING and all(
            member.joining is not None for member in self.members.values()
        ):
            self._complete()

    def _complete(self) -> None:
        self.generation += 1
        self._rounds += 1
        if not self.members:
            self.phase, self._leader = Phase.EMPTY, ""
            return
        self.phase = Phase.COMPLETING
        joined = [member for member in self.members.values() if member.joining is not None]
        if self._leader not in self.members or self.members[self._leader].joining is None:
            self._leader = joined[0].id
        for member in joined:
            joining, member.joining = member.joining, None
            self._live(member)
            if joining is not None and not joining.done():
                joining.set_result(Joined(member.id, self.generation, self._leader))

    def sync(self, member_id: str, generation: int) -> "asyncio.Future[tuple[TopicPartition, ...]]":
        """Learn the own partitions; the leader's call is what shares them out."""
        member = self._known(member_id)
        self._check(generation)
        if self.phase is Phase.PREPARING:
            raise RebalanceInProgressError
        if self.phase is Phase.STABLE:
            return self._kafka.done(member.places)
        member.syncing = syncing = self._kafka.future()
        if member_id == self._leader:
            self._share_out()
        return syncing

    def _share_out(self) -> None:
        """Round robin over members and partitions in the order of their names, as aiokafka does."""
        shares: dict[str, list[TopicPartition]] = {name: [] for name in sorted(self.members)}
        wanted = {topic for m in self.members.values() for topic in m.application.topics}
        turns = itertools.cycle(shares)
        for partition in self._kafka.partitions.of(wanted):
            name = next(turns)
            while partition.place.topic not in self.members[name].application.topics:
                name = next(turns)
            shares[name].append(partition.place)
        self.phase = Phase.STABLE
        for name, places in shares.items():
            member = self.members[name]
            member.places = tuple(places)
            self._live(member)
            if member.syncing is not None and not member.syncing.done():
                member.syncing.set_result(member.places)
            member.syncing = None

    # -- being there -----------------------------------------------------------------------------

    def heartbeat(self, member_id: str, generation: int) -> None:
        """Say that one is there; raises what the broker would answer."""
        member = self._known(member_id)
        self._check(generation)
        self._live(member)
        if self.phase is Phase.PREPARING:
            raise RebalanceInProgressError

    def leave(self, member_id: str) -> None:
        """Go at once, instead of at the end of the session."""
        self._remove(self._known(member_id))

    def throw_out(self, member: Member) -> None:
        """Its heartbeats did not come through."""
        self._remove(member)

    def _live(self, member: Member) -> None:
        member.deadline = self._kafka.now() + member.application.session_s

    def _watch(self, member: Member) -> None:
        if member.gone:
            return
        now = self._kafka.now()
        if member.joining is not None:
            self._live(member)
        if now < member.deadline:
            self._kafka.later(member.deadline - now, self._watch, member)
        else:
            self._kafka.reached("kafka.session_expired")
            self._remove(member)

    def _forget(self, member: Member) -> None:
        member.gone = True
        for pending in (member.joining, member.syncing):
            if pending is not None and not pending.done():
                pending.set_exception(UnknownMemberIdError())
        del self.members[member.id]
        instance = member.application.instance
        if instance is not None and self._instances.get(instance) == member.id:
            del self._instances[instance]

    def _remove(self, member: Member) -> None:
        self._forget(member)
        if self.phase is not Phase.PREPARING:
            self._prepare()
        self._complete_if_all_joined()

    def _known(self, member_id: str) -> Member:
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberIdError(self.name)
        return member

    def _check(self, generation: int) -> None:
        if generation != self.generation:
            raise IllegalGenerationError(self.name)

    # -- offsets ---------------------------------------------------------------------------------

    def commit(
        self, member_id: str, generation: int, offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Keep offsets; nobody asks whether the partitions are the member's own."""
        if not (generation < 0 and self.phase is Phase.EMPTY):
            member = self._known(member_id)
            self._check(generation)
            if self.phase is Phase.COMPLETING:
                raise RebalanceInProgressError(self.name)
            self._live(member)
        self.offsets.update(offsets)

    def committed(self, places: Any) -> dict[TopicPartition, int | None]:
        """What was committed last, if anything."""
        return {place: self.offsets.get(place) for place in places}
