"""Who may look at the platform's own and decide about it."""

from typing import Annotated

from fastapi import Depends

from chassis.auth import Caller, needs
from invoiceos_contracts import PLATFORM
from reserve_ledger.errors import OperatorsOnly


async def _operator(caller: Annotated[Caller, Depends(needs("operator"))]) -> Caller:
    if caller.tenant_id != PLATFORM:
        raise OperatorsOnly
    return caller


Operator = Annotated[Caller, Depends(_operator)]
