"""How a service says which events it acts on: one function for each, given a batch."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from invoiceos_contracts import Event
from messaging.records import Arrived, Received, Unreadable, read
from messaging.transaction import Tx

E = TypeVar("E", bound=Event)
Batch = Sequence[Received[E]]
"""What a handler gets: events it has not handled yet, in order per key."""

Handler = Callable[[Tx, Sequence[Any]], Awaitable[Sequence[Unreadable] | None]]
"""What it gives back, if anything, is put aside; the rest is handled."""
RecordHandler = Callable[[Tx, Sequence[Arrived]], Awaitable[Sequence[Unreadable]]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler and the events it asked for."""

    events: tuple[type[Event], ...]
    handler: Handler


def consumes(*events: type[Event]) -> Callable[[Handler], Subscription]:
    """Mark a function as the handler of these events.

    The backbone has parsed and deduplicated them and opened the transaction. What the handler
    writes, the facts it stages and the mark that the events are handled commit together. It must
    not call anyone outside; an exception rolls the batch back.
    """

    def mark(handler: Handler) -> Subscription:
        return Subscription(events, handler)

    return mark


@dataclass(frozen=True, slots=True)
class RecordSubscription:
    """A handler of what others than services write, on every topic whose name matches."""

    name: str
    """Names the consumer group, after the service's name."""
    pattern: str
    """Regular expression; a topic that is made later is heard too."""
    handler: RecordHandler


def reads_records(name: str, pattern: str) -> Callable[[RecordHandler], RecordSubscription]:
    """Mark a function as the handler of raw records on the topics whose names match.

    It runs as a handler of events does; nothing has been parsed. It gives back the records that it
    can neither handle nor answer, each with the reason: they are put aside, and hold up no other.
    """

    def mark(handler: RecordHandler) -> RecordSubscription:
        return RecordSubscription(name, pattern, handler)

    return mark


class RecordSubscriptions:
    """The one handler of a consumer group that reads raw records."""

    topics: Sequence[str] = ()

    def __init__(self, group: str, subscription: RecordSubscription) -> None:
        """Name the group."""
        self.group = group
        self.pattern = subscription.pattern
        self._handler: Handler = subscription.handler

    def read(self, record: Any) -> Arrived:
        """The record, named by its place."""
        return Arrived.of(record)

    def handler_of(self, item: Any) -> Handler:
        """The one handler."""
        del item
        return self._handler

    def waves(self, batch: Sequence[Any]) -> Iterator[tuple[Handler, list[Any]]]:
        """All in one call."""
        if batch:
            yield self._handler, list(batch)


class Subscriptions:
    """All handlers of one consumer group."""

    pattern: str | None = None

    def __init__(self, group: str, subscriptions: Iterable[Subscription]) -> None:
        """Refuse two handlers for one event: their order would be undefined."""
        self.group = group
        self._handlers: dict[str, Handler] = {}
        self._events: dict[str, type[Event]] = {}
        for subscription in subscriptions:
            for event in subscription.events:
                if event.TYPE in self._handlers:
                    message = f"{group} has two handlers for {event.TYPE}; make them one"
                    raise ValueError(message)
                self._handlers[event.TYPE] = subscription.handler
                self._events[event.TYPE] = event
        self._types = frozenset(self._handlers)

    @property
    def types(self) -> frozenset[str]:
        """CloudEvents types that are handled."""
        return self._types

    @property
    def topics(self) -> list[str]:
        """Topics they travel on."""
        return sorted({event.TOPIC for event in self._events.values()})

    @property
    def events(self) -> list[type[Event]]:
        """Events that are handled."""
        return list(self._events.values())

    def read(self, record: Any) -> Received[Event] | Unreadable | None:
        """The event in a record; None when nobody here asked for its type."""
        return read(record, self.types)

    def handler_of(self, event: Received[Event]) -> Handler:
        """The one handler of an event."""
        return self._handlers[event.fact.TYPE]

    def waves(self, batch: Sequence[Received[Event]]) -> Iterator[tuple[Handler, list[Any]]]:
        """Cut a poll into calls of handlers that keep the order of each key.

        An event goes to the wave that counts how often the handler changed before it within its
        key: `seen, succeeded, seen, succeeded` of two keys becomes two calls, not four.
        """
        last: dict[str, tuple[Handler, int]] = {}
        calls: dict[tuple[int, int], tuple[Handler, list[Any]]] = {}
        for event in batch:
            handler = self.handler_of(event)
            before, wave = last.get(event.fact.subject, (handler, 0))
            wave += before is not handler
            last[event.fact.subject] = (handler, wave)
            calls.setdefault((wave, id(handler)), (handler, []))[1].append(event)
        for (_, _), call in sorted(calls.items(), key=lambda item: item[0][0]):
            yield call
