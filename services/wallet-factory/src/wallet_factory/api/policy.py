"""What a tenant wants of its wallets, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from chassis.auth import Caller, needs
from chassis.http import Reading, Writing
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute
from wallet_factory.commands.save_policies import NewPolicy, SavedPolicy, save_policies
from wallet_factory.domain.policy import WalletPolicy
from wallet_factory.queries import policies as queries
from wallet_factory.queries.policies import PolicyView

router = APIRouter(route_class=StrictRoute, tags=["wallet policy"])
POLICY = "/api/v1/wallets/policy"


class PolicyBody(Input):
    """A policy, and why it was written."""

    policy: WalletPolicy
    note: ShortText | None = None


@router.get(POLICY)
async def get_policy(
    caller: Annotated[Caller, Depends(needs("wallets:read"))], tx: Reading
) -> PolicyView:
    """Your policy, and the rails there are; version 0 is the platform's way."""
    return await queries.policy(tx, caller.tenant_id)


@router.put(POLICY, response_model=PolicyView)
async def put_policy(
    body: PolicyBody, write: Writing, caller: Annotated[Caller, Depends(needs("wallets:write"))]
) -> Response:
    """Choose your rails, their order and your default mode, for every wallet from now on."""
    asked = NewPolicy(caller.tenant_id, body.policy, body.note, caller.actor)
    return await write(save_policies, asked, answer=_view)


def _view(saved: SavedPolicy) -> PolicyView:
    asked = saved.asked
    return PolicyView(
        version=saved.version,
        policy=asked.policy,
        note=asked.note,
        created_by=asked.actor,
        created_at=saved.at,
        rails_offered=queries.rails_offered(),
    )
