"""What a case is given, and which cases there are."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.load.measure import Outcome
from tests.load.place import Place

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """The circumstances of one case."""

    place: Place
    say: Say
    quick: bool

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5


@dataclass(frozen=True, slots=True)
class Case:
    """A benchmark: what it answers, and the longest it may take."""

    name: str
    question: str
    needs: str
    seconds_max: float
    module: str

    def function(self) -> Callable[[Run], Awaitable[Outcome]]:
        """`run` of its module, loaded when it is needed."""
        found: Callable[[Run], Awaitable[Outcome]] = importlib.import_module(self.module).run
        return found


def _case(name: str, needs: str, seconds_max: float, question: str) -> Case:
    module = f"tests.load.{name.replace('-', '_')}"
    return Case(name, question, needs, seconds_max, module)


NOTHING, INFRASTRUCTURE, PLATFORM = "nothing", "infrastructure", "platform"
CASES = {
    case.name: case
    for case in (
        _case("start", NOTHING, 150, "How long until the whole stack is ready?"),
        _case("relay", INFRASTRUCTURE, 120, "How many events do relay and consumer carry?"),
        _case("ledger", INFRASTRUCTURE, 90, "How many transfers does the ledger post?"),
        _case("gateway", PLATFORM, 150, "How many invoices are accepted at the gateway?"),
        _case("flow", PLATFORM, 120, "How long from a request, or a payment, to its last effect?"),
        _case("flows", PLATFORM, 120, "How many invoices are issued and paid, sustained?"),
        _case("flows-booked", PLATFORM, 90, "How many payments are booked and announced?"),
        _case("bulk", PLATFORM, 400, "How many wallets does one order in bulk make a second?"),
        _case("memory", PLATFORM, 60, "How much memory does each service take?"),
    )
}
