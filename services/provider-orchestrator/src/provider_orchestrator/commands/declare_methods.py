"""How payers can pay is said whenever it changes, so that pages offer nothing else."""

from collections.abc import Sequence

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.provider_v1 import ProviderMethodsDeclared
from messaging import Tx
from provider_orchestrator.domain.health import Key
from provider_orchestrator.domain.routing import Capabilities, Operation
from provider_orchestrator.store import methods as store
from provider_orchestrator.store.methods import Declared
from provider_orchestrator.store.providers import id_of


async def declare_methods(tx: Tx, can: Sequence[Capabilities]) -> None:
    """State what is another than was said last: a provider that is gone takes nothing."""
    said = await store.lock_declared(tx)
    now = {(one.provider, one.rail): _declared(one) for one in can if one.methods}
    gone = [Declared(*key, (), (), 0, ()) for key in said.keys() - now.keys()]
    news = [one for one in (*now.values(), *gone) if said.get((one.provider, one.rail)) != one]
    await store.save_declared(tx, news)
    tx.stage(_stated(one) for one in news)


def _declared(can: Capabilities) -> Declared:
    takes = Operation.COLLECT in can.operations
    return Declared(
        provider=can.provider,
        rail=can.rail,
        methods=tuple(sorted(can.methods)) if takes else (),
        assets=tuple(sorted(can.assets)),
        amount_max_minor=can.amount_max_minor,
        pages=tuple(sorted(can.pages)),
    )


def _stated(one: Declared) -> ProviderMethodsDeclared:
    return ProviderMethodsDeclared(
        tenant_id=PLATFORM,
        provider_id=id_of(Key(one.provider, one.rail)),
        provider=one.provider,
        rail=one.rail,
        methods=one.methods,
        assets=one.assets,
        amount_max_minor=one.amount_max_minor,
        pages=one.pages,
    )
