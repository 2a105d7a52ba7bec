"""Operators' routes: every service is asked at once, and who does not answer is named."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import aiohttp
import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from chassis import operations
from chassis.auth import Caller, needs
from chassis.http import Cursor, Limit, after, page
from chassis.inputs import Input, LongText
from chassis.operations import (
    EFFECTS,
    Discard,
    LetterChoice,
    LettersWanted,
    LetterWanted,
    Nothing,
    Replay,
    operator,
)
from chassis.operations_views import (
    BacklogView,
    DeadLetterDetail,
    DeadLetterView,
    Discarded,
    EntryView,
    Released,
    TimersView,
)
from chassis.problems import MEDIA_TYPE
from chassis.runtime import Runtime
from chassis.strict_json import StrictRoute
from gateway.settings import GatewaySettings
from invoiceos_contracts import encode
from invoiceos_contracts.ids import PLATFORM, InvoiceId, TenantId
from messaging import Kind, Refusal
from messaging.operations import OPEN, STATES, Subject, tree

log = structlog.get_logger()
router = APIRouter(route_class=StrictRoute)
OWN = "gateway"
_WAIT = aiohttp.ClientTimeout(total=15, connect=2)
Operator = Annotated[Caller, Depends(operator)]
Word = Annotated[str | None, Query(min_length=1, max_length=200)]


class ServiceUnknown(Refusal):
    """No service has this name."""

    code = "unknown_service"
    kind = Kind.NOT_FOUND
    title = "There is no service of this name"


class ServiceSilent(Refusal):
    """The one service that was asked does not answer."""

    code = "service_unavailable"
    kind = Kind.UNAVAILABLE
    title = "The service does not answer; what was asked may have been done"


class InvoiceUnknown(Refusal):
    """Nobody knows anything of it."""

    code = "invoice_not_found"
    kind = Kind.NOT_FOUND
    title = "Nothing is known of this invoice"


class NothingChosen(Refusal):
    """A replay of everything is never meant by leaving all out."""

    code = "nothing_chosen"
    kind = Kind.INVALID
    title = "Name at least one of type, tenant_id, cause, consumer, key and older_than_s"


class BadState(Refusal):
    """Not a state of dead letters."""

    code = "unknown_state"
    kind = Kind.INVALID
    title = f"A state is open, all, {', '.join(STATES)}"


class Asking(BaseModel):
    """Part of an answer that several services give."""

    unanswered: Sequence[str] = ()
    """Services that did not answer: what they know is missing."""


class DeadLetterPage(Asking):
    """Dead letters of all services, oldest first."""

    items: Sequence[DeadLetterView]
    next_cursor: str | None


class OutboxStatus(Asking):
    """What each service has not sent yet."""

    items: Sequence[BacklogView]


class TimersStatus(Asking):
    """The timers of each service."""

    items: Sequence[TimersView]


class TraceNode(EntryView):
    """An entry, and what followed from it."""

    children: Sequence["TraceNode"]


class Trace(Asking):
    """The life of an invoice as a tree; what nothing caused stands at its root."""

    invoice_id: InvoiceId
    tenant_id: TenantId
    tree: Sequence[TraceNode]


class Effects(Asking):
    """What one event brought about."""

    event_id: UUID
    items: Sequence[EntryView]


class ReplayInput(Input):
    """Why letters are handled again, and which."""

    reason: LongText
    wanted: LetterChoice


class ReasonInput(Input):
    """Why it is done."""

    reason: LongText


class DiscardInput(ReasonInput):
    """Why a letter is set aside for good."""

    whole_key: bool = False
    """With all that waits behind it."""


class Services:
    """All services, as a request of an operator reaches them."""

    def __init__(self, request: Request) -> None:
        """Questions carry the token of the request itself."""
        self._runtime: Runtime = request.app.state.runtime
        settings: GatewaySettings = self._runtime.settings
        self._places: Mapping[str, str] = {OWN: "", **settings.upstreams}
        self._headers = {"Authorization": request.headers["authorization"]}

    async def ask(
        self, service: str, name: str, question: Input, caller: Caller
    ) -> tuple[int, Any]:
        """Status and answer of one service; raises `ServiceUnknown` and `ServiceSilent`."""
        if service not in self._places:
            raise ServiceUnknown(f"There is {', '.join(sorted(self._places))}")
        if service == OWN:
            _, answer = operations.QUESTIONS[name]
            own = await answer(self._runtime, caller, question)
            return 200, own.model_dump(mode="json")
        try:
            async with self._runtime.http.post(
                f"{self._places[service]}{operations.PREFIX}/{name}",
                data=question.model_dump_json(exclude_unset=True),
                headers={**self._headers, "Content-Type": "application/json"},
                timeout=_WAIT,
            ) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ServiceSilent(f"{service} does not answer: {type(error).__name__}") from error

    async def ask_all(
        self, name: str, question: Input, caller: Caller, only: str | None = None
    ) -> tuple[list[Any], list[str]]:
        """Answers of all services (of one), and who gave none."""
        if only and only not in self._places:
            raise ServiceUnknown(f"There is {', '.join(sorted(self._places))}")
        return await self._ask_these(
            [only] if only else sorted(self._places), name, question, caller
        )

    async def ask_others(
        self, name: str, question: Input, caller: Caller
    ) -> tuple[list[Any], list[str]]:
        """Answers of all services but the gateway, and who gave none."""
        return await self._ask_these(sorted(self._places.keys() - {OWN}), name, question, caller)

    async def _ask_these(
        self, names: Sequence[str], name: str, question: Input, caller: Caller
    ) -> tuple[list[Any], list[str]]:
        asked = [self._ask_kindly(service, name, question, caller) for service in names]
        found = await asyncio.gather(*asked)
        silent = [n for n, answer in zip(names, found, strict=True) if answer is None]
        return [answer for answer in found if answer is not None], silent

    async def _ask_kindly(
        self, service: str, name: str, question: Input, caller: Caller
    ) -> Any | None:
        try:
            status, answer = await self.ask(service, name, question, caller)
        except Exception as error:
            log.warning("operations.unanswered", asked=service, error=repr(error)[:300])
            return None
        return answer if status == 200 else None

    async def do(self, service: str, name: str, question: Input, caller: Caller) -> Response:
        """One service's answer as it is, problems included."""
        status, answer = await self.ask(service, name, question, caller)
        if status >= 500:
            raise ServiceSilent(f"{service} answers {status}")
        kind = "application/json" if status < 400 else MEDIA_TYPE
        return JSONResponse(answer, status, media_type=kind)


All = Annotated[Services, Depends(Services)]


def _states(state: str) -> tuple[str, ...]:
    if state not in ("open", "all", *STATES):
        raise BadState
    return {"open": OPEN, "all": STATES}.get(state, (state,))


@router.get("/api/v1/operations/dead-letters", response_model=DeadLetterPage)
async def get_dead_letters(
    services: All,
    caller: Operator,
    service: Word = None,
    type: Word = None,
    tenant_id: TenantId | None = None,
    cause: Word = None,
    consumer: Word = None,
    state: Annotated[str, Query(max_length=20)] = "open",
    key: Word = None,
    older_than_s: Annotated[int | None, Query(ge=0, le=10**9)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Dead letters of all services (or one), oldest first."""
    wanted = LettersWanted(
        type=type,
        tenant_id=tenant_id,
        cause=cause,
        consumer=consumer,
        states=_states(state),
        key=key,
        older_than_s=older_than_s,
        after=after(cursor),
        limit=limit + 1,
    )
    found, silent = await services.ask_all("find-letters", wanted, caller, service)
    letters = sorted(
        (DeadLetterView.model_validate(item) for answer in found for item in answer["items"]),
        key=lambda letter: letter.id,
    )
    return {**page(letters[: limit + 1], limit, lambda letter: letter.id), "unanswered": silent}


@router.get(
    "/api/v1/operations/dead-letters/{service}/{letter_id}", response_model=DeadLetterDetail
)
async def get_dead_letter(
    service: str, letter_id: UUID, services: All, caller: Operator
) -> Response:
    """A dead letter with envelope, payload and what waits behind it."""
    return await services.do(service, "show-letter", LetterWanted(letter_id=letter_id), caller)


@router.post("/api/v1/operations/dead-letters/{service}/replay", response_model=Released)
async def post_replay_of_many(
    service: str, body: ReplayInput, services: All, caller: Operator
) -> Response:
    """Have letters that match handled again, with all of their keys, in order."""
    if not str(body.wanted.filter):
        raise NothingChosen
    question = Replay(reason=body.reason, wanted=body.wanted)
    return await services.do(service, "replay-letters", question, caller)


@router.post(
    "/api/v1/operations/dead-letters/{service}/{letter_id}/replay", response_model=Released
)
async def post_replay(
    service: str, letter_id: UUID, body: ReasonInput, services: All, caller: Operator
) -> Response:
    """Have the letters of one key handled again, in order."""
    question = Replay(reason=body.reason, letter_id=letter_id)
    return await services.do(service, "replay-letters", question, caller)


@router.post(
    "/api/v1/operations/dead-letters/{service}/{letter_id}/discard", response_model=Discarded
)
async def post_discard(
    service: str, letter_id: UUID, body: DiscardInput, services: All, caller: Operator
) -> Response:
    """Set a letter aside for good; what waited behind it is handled in order."""
    question = Discard(reason=body.reason, letter_id=letter_id, whole_key=body.whole_key)
    return await services.do(service, "discard-letter", question, caller)


@router.get("/api/v1/operations/outbox", response_model=OutboxStatus)
async def get_outbox(services: All, caller: Operator, service: Word = None) -> dict[str, Any]:
    """What each service has not sent yet, and who sends."""
    found, silent = await services.ask_all("outbox", Nothing(), caller, service)
    return {"items": found, "unanswered": silent}


@router.get("/api/v1/operations/timers", response_model=TimersStatus)
async def get_timers(services: All, caller: Operator, service: Word = None) -> dict[str, Any]:
    """What each service has to do at a time."""
    found, silent = await services.ask_all("timers", Nothing(), caller, service)
    return {"items": found, "unanswered": silent}


@router.get("/api/v1/operations/traces/{invoice_id}", response_model=Trace)
async def get_trace(invoice_id: InvoiceId, services: All, caller: Operator) -> dict[str, Any]:
    """Every event, effect and delivery of an invoice across services, as a tree."""
    answers, mute = await services.ask_all(
        "events", operations.EventsWanted(invoice_id=invoice_id), caller
    )
    events = _entries(answers)
    if not events:
        raise ServiceSilent(f"{', '.join(mute)} do not answer") if mute else InvoiceUnknown()
    tenant_id = next(e["tenant_id"] for e in events if e["tenant_id"] != PLATFORM)
    subject = Subject.of(invoice_id, tenant_id, events)
    question = operations.PartWanted(
        invoice_id=invoice_id,
        tenant_id=tenant_id,
        events=tuple(subject.events),
        keys=tuple(subject.keys),
        times=tuple(subject.times),
    )
    parts, silent = await services.ask_all("part", question, caller)
    return {
        "invoice_id": encode("inv", invoice_id),
        "tenant_id": encode("ten", tenant_id),
        "tree": tree([*events, *_entries(parts)]),
        "unanswered": sorted({*mute, *silent}),
    }


def _entries(answers: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        EntryView.model_validate(entry).model_dump()
        for answer in answers
        for entry in answer["entries"]
    ]


@router.get("/api/v1/events/{event_id}/effects", response_model=Effects)
async def get_effects(
    event_id: UUID,
    services: All,
    caller: Annotated[Caller, Depends(needs("invoices:read"))],
) -> dict[str, Any]:
    """What an event of the tenant brought about: bookings, mails, webhook deliveries."""
    question = operations.EffectsWanted(event_id=event_id)
    answers, silent = await services.ask_others(EFFECTS, question, caller)
    items = sorted(_entries(answers), key=lambda entry: entry["at"])
    return {"event_id": event_id, "items": items, "unanswered": silent}
