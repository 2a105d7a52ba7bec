"""How a service says which events it acts on: one function for each, given a batch."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from invoiceos_contracts import Event
from messaging.records import Received
from messaging.transaction import Tx

E = TypeVar("E", bound=Event)
Batch = Sequence[Received[E]]
"""What a handler gets: events it has not handled yet, in order per key."""

Handler = Callable[[Tx, Sequence[Received[Any]]], Awaitable[None]]


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


class Subscriptions:
    """All handlers of one consumer group."""

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

    @property
    def types(self) -> frozenset[str]:
        """CloudEvents types that are handled."""
        return frozenset(self._handlers)

    @property
    def topics(self) -> list[str]:
        """Topics they travel on."""
        return sorted({event.TOPIC for event in self._events.values()})

    @property
    def events(self) -> list[type[Event]]:
        """Events that are handled."""
        return list(self._events.values())

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
