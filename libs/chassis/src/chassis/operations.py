"""What a service answers to operators, by the library that the command line uses too.

Each question is a model with a function that answers it. `router` puts them under an internal
path of every service; the gateway asks all services there, and itself directly.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, Field

from chassis.auth import Caller, caller_of, needs
from chassis.inputs import Input, LongText
from chassis.operations_views import (
    BacklogView,
    DeadLetterDetail,
    DeadLetterView,
    Discarded,
    Entries,
    Letters,
    Released,
    TimerKind,
    TimersView,
)
from chassis.strict_json import StrictRoute
from invoiceos_contracts import encode
from invoiceos_contracts.ids import PLATFORM, TenantId
from messaging import Kind, Refusal, operations
from messaging.operations import OPEN, Act, LetterFilter, Subject

if TYPE_CHECKING:
    from chassis.runtime import Runtime

OPERATOR = "operator"
"""Scope of the operator's token; no API key ever has it."""
PREFIX = "/internal/v1/operations"
ShortWord = Annotated[str, Field(min_length=1, max_length=200)]


class OperatorOnly(Refusal):
    """Only the platform's operators may do this."""

    code = "operator_only"
    kind = Kind.FORBIDDEN
    title = "Only the operator's token may do this"


class LetterNotFound(Refusal):
    """The service has no such letter."""

    code = "dead_letter_not_found"
    kind = Kind.NOT_FOUND
    title = "The service has no such dead letter"


class LetterNotOpen(Refusal):
    """It was handled or set aside before."""

    code = "dead_letter_not_open"
    kind = Kind.CONFLICT
    title = "The dead letter is not open any more"


async def operator(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    """The platform's operator; no tenant's key gets here, whatever its scopes."""
    if caller.tenant_id != PLATFORM or OPERATOR not in caller.scopes:
        raise OperatorOnly
    return caller


class LetterChoice(Input):
    """Which open dead letters; what is not given does not matter."""

    type: ShortWord | None = None
    """Type of the event."""
    tenant_id: TenantId | None = None
    cause: ShortWord | None = None
    """envelope, contract, handler or behind."""
    consumer: ShortWord | None = None
    key: ShortWord | None = None
    """Key of the record: the public id of its aggregate."""
    older_than_s: Annotated[int, Field(ge=0, le=10**9)] | None = None

    @property
    def filter(self) -> LetterFilter:
        """The same for the library."""
        age = None if self.older_than_s is None else timedelta(seconds=self.older_than_s)
        names = ("type", "tenant_id", "cause", "consumer", "key")
        return LetterFilter(age=age, **{name: getattr(self, name) for name in names})


class LettersWanted(LetterChoice):
    """A page of dead letters."""

    states: tuple[ShortWord, ...] = OPEN
    after: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=201)] = 50

    @property
    def filter(self) -> LetterFilter:
        """The same for the library, in these states."""
        return replace(super().filter, states=self.states)


class LetterWanted(Input):
    """One dead letter."""

    letter_id: UUID


class Replay(Input):
    """Letters to handle again: one, or those that match; nothing given means nothing."""

    reason: LongText
    letter_id: UUID | None = None
    wanted: LetterChoice | None = None


class Discard(Input):
    """A letter to set aside for good."""

    reason: LongText
    letter_id: UUID
    whole_key: bool = False


class Nothing(Input):
    """No more to say."""


class EventsWanted(Input):
    """Events of an invoice on the service's own topics."""

    invoice_id: UUID


class PartWanted(Input):
    """What a service knows of an invoice; see `messaging.operations.Subject`."""

    invoice_id: UUID
    tenant_id: UUID
    events: Annotated[tuple[UUID, ...], Field(max_length=3000)] = ()
    keys: Annotated[tuple[ShortWord, ...], Field(max_length=500)] = ()
    times: Annotated[tuple[AwareDatetime, ...], Field(max_length=3000)] = ()


class EffectsWanted(Input):
    """What an event of the caller's tenant brought about."""

    event_id: UUID


async def find_letters(runtime: "Runtime", caller: Caller, asked: LettersWanted) -> Letters:
    """Dead letters, oldest first."""
    del caller
    async with runtime.worker.transaction() as tx:
        rows = await operations.find(tx, asked.filter, after=asked.after, limit=asked.limit)
    name = runtime.service.name
    return Letters(items=[DeadLetterView.of(name, row) for row in rows])


async def show_letter(runtime: "Runtime", caller: Caller, asked: LetterWanted) -> DeadLetterDetail:
    """One dead letter in full; raises `LetterNotFound`."""
    del caller
    async with runtime.worker.transaction() as tx:
        found = await operations.show(tx, asked.letter_id)
    if found is None:
        raise LetterNotFound
    return DeadLetterDetail.of(runtime.service.name, found)


async def replay_letters(runtime: "Runtime", caller: Caller, asked: Replay) -> Released:
    """Release letters of whole keys; raises `LetterNotOpen` where one is named in vain."""
    wanted = LetterFilter(ids=[asked.letter_id] if asked.letter_id else [])
    if asked.wanted is not None:
        wanted = asked.wanted.filter
    async with runtime.worker.transaction() as tx:
        released = await operations.replay(tx, wanted, Act(caller.actor, asked.reason))
    if asked.letter_id is not None and not released:
        raise LetterNotOpen
    return Released(service=runtime.service.name, released=released)


async def discard_letter(runtime: "Runtime", caller: Caller, asked: Discard) -> Discarded:
    """Set a letter aside for good; raises `LetterNotOpen`."""
    act = Act(caller.actor, asked.reason)
    async with runtime.worker.transaction() as tx:
        gone, released = await operations.discard(
            tx, asked.letter_id, act, whole_key=asked.whole_key
        )
    if not gone:
        raise LetterNotOpen
    return Discarded(service=runtime.service.name, discarded=gone, released=released)


async def outbox(runtime: "Runtime", caller: Caller, asked: Nothing) -> BacklogView:
    """What is unsent."""
    del caller, asked
    async with runtime.worker.transaction() as tx:
        found = await operations.outbox_status(tx, runtime.service.schema)
    return BacklogView(service=runtime.service.name, **found)


async def timers(runtime: "Runtime", caller: Caller, asked: Nothing) -> TimersView:
    """What is to be done at a time."""
    del caller, asked
    async with runtime.worker.transaction() as tx:
        found = await operations.timers_status(tx)
    return TimersView(
        service=runtime.service.name, kinds=[TimerKind.model_validate(kind) for kind in found]
    )


async def events(runtime: "Runtime", caller: Caller, asked: EventsWanted) -> Entries:
    """Events of an invoice that this service stated, from its own topics."""
    del caller
    found = await operations.events_of(
        runtime.settings.kafka,
        operations.owned_topics(runtime.service.name),
        encode("inv", asked.invoice_id),
        operations.born(asked.invoice_id),
    )
    return Entries.of(found)


async def part(runtime: "Runtime", caller: Caller, asked: PartWanted) -> Entries:
    """What this service knows of an invoice beside its events."""
    del caller
    subject = Subject(**{name: getattr(asked, name) for name in PartWanted.model_fields})
    service = runtime.service
    async with runtime.worker.transaction() as tx:
        found = await operations.part(tx, service.name, service.traced, subject)
    return Entries.of(found)


async def effects(runtime: "Runtime", caller: Caller, asked: EffectsWanted) -> Entries:
    """What an event brought about here, in the caller's tenant: row security sees to it."""
    service = runtime.service
    async with runtime.api.transaction([caller.tenant_id]) as tx:
        found = await operations.effects(
            tx, service.name, service.traced, caller.tenant_id, asked.event_id
        )
    return Entries.of(found)


Answer = Callable[["Runtime", Caller, Any], Awaitable[BaseModel]]
QUESTIONS: Mapping[str, tuple[type[Input], Answer]] = {
    "find-letters": (LettersWanted, find_letters),
    "show-letter": (LetterWanted, show_letter),
    "replay-letters": (Replay, replay_letters),
    "discard-letter": (Discard, discard_letter),
    "outbox": (Nothing, outbox),
    "timers": (Nothing, timers),
    "events": (EventsWanted, events),
    "part": (PartWanted, part),
}
"""What operators may ask, by name."""
EFFECTS = "effects"
"""The one question that tenants may ask, of their own."""
router = APIRouter(route_class=StrictRoute, include_in_schema=False)


def _answering(model: type[Input], answer: Answer) -> Callable[..., Awaitable[BaseModel]]:
    async def endpoint(
        body: Any, request: Request, caller: Annotated[Caller, Depends(operator)]
    ) -> BaseModel:
        return await answer(request.app.state.runtime, caller, body)

    endpoint.__annotations__["body"] = model
    return endpoint


for _name, (_model, _answer) in QUESTIONS.items():
    router.post(f"{PREFIX}/{_name}", name=_name, response_model=None)(_answering(_model, _answer))


@router.post(f"{PREFIX}/{EFFECTS}")
async def post_effects(
    body: EffectsWanted,
    request: Request,
    caller: Annotated[Caller, Depends(needs("invoices:read"))],
) -> Entries:
    """What an event brought about here, for the tenant that owns it."""
    return await effects(request.app.state.runtime, caller, body)
