"""The mode selector over HTTP: its state, its kill switch, its decisions with reasons."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import StrictBool

from chassis.auth import Caller, caller_of, needs
from chassis.http import Cursor, Limit, Page, Reading, Writing, after, page
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from invoiceos_contracts.ids import PLATFORM
from messaging import Database
from wallet_factory.commands.switch_selector import Switch, switch_selector
from wallet_factory.queries import selector as queries
from wallet_factory.queries.selector import ChainView, SelectorEntryView, SelectorView, SwitchView

router = APIRouter(route_class=StrictRoute, tags=["mode selector"])
Reader = Annotated[Caller, Depends(needs("wallets:read"))]
SELECTOR = "/api/v1/wallets/selector"
SEQUENCE_MAX = 2**63 - 1


async def _switcher(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    """The platform's operator for all, else a tenant for itself."""
    if caller.tenant_id != PLATFORM:
        caller.require("wallets:write")
    return caller


class SwitchInput(Input):
    """Whether the kill switch is engaged, and why."""

    engaged: StrictBool
    reason: ShortText


@router.get(SELECTOR)
async def get_selector(caller: Reader, request: Request) -> SelectorView:
    """What decides the mode of your wallets now, and how well the model knows."""
    database: Database = request.app.state.api_database
    async with database.transaction([caller.tenant_id, PLATFORM]) as tx:
        return await queries.state(tx, caller.tenant_id)


@router.put(SELECTOR + "/kill-switch", response_model=SwitchView)
async def put_kill_switch(
    body: SwitchInput, caller: Annotated[Caller, Depends(_switcher)], write: Writing
) -> Response:
    """Leave the choice to the rules alone, or let the model take part again."""
    asked = Switch(caller.tenant_id, body.engaged, body.reason, caller.actor)
    return await write(switch_selector, asked, answer=_view)


@router.get(SELECTOR + "/decisions", response_model=Page[SelectorEntryView])
async def get_decisions(
    caller: Reader, tx: Reading, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """Decisions with what they were made by, and what came of them; the last first."""
    place = after(cursor)
    before = None if place is None else min(place.int, SEQUENCE_MAX)
    found = await queries.entries(tx, caller.tenant_id, before, limit)
    return page(found, limit, queries.entry_cursor)


@router.get(SELECTOR + "/decisions/verification")
async def get_verification(caller: Reader, tx: Reading) -> ChainView:
    """Compute the chain of your log of decisions again."""
    return await queries.verification(tx, caller.tenant_id)


def _view(switch: Switch) -> SwitchView:
    return SwitchView(
        engaged=switch.engaged,
        reason=switch.reason,
        switched_by=switch.actor,
        switched_at=switch.at,
    )
