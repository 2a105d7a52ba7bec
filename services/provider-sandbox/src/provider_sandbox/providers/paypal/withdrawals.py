"""PayPal's withdrawals: money of the account goes to its owner's bank, by hand or by itself."""

from dataclasses import asdict, replace

from provider_sandbox.core.statements import Line, book, lines
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.paypal.wire import key_of

ARRIVES_AFTER_S = 86_400
_WITHDRAWN = "T0400"


def simulate(world: World, wanted: Document) -> Document:
    """Somebody withdraws `amount`, cents of `currency`; with `fails` the bank sends it back."""
    minor, currency = int(wanted["amount"]), str(wanted.get("currency", "USD"))
    if minor < 1:
        raise ValueError("amount is more than nothing")
    line = Line(
        id=key_of(world, "withdrawal", 17),
        at=world.now(),
        available_at=world.now(),
        kind=_WITHDRAWN,
        source="withdrawal",
        reference="",
        gross_minor=-minor,
        fee_minor=0,
        currency=currency,
        status="P",
    )
    book(world, "paypal", line)
    argument = {"id": line.id, "fails": bool(wanted.get("fails", False))}
    world.later(ARRIVES_AFTER_S, "paypal.withdrawal_ends", argument)
    return asdict(line)


def ends(world: World, argument: Document) -> None:
    """The bank takes the money, or sends it back."""
    line = next(one for one in lines(world, "paypal") if one.id == argument["id"])
    book(world, "paypal", replace(line, status="D" if argument["fails"] else "S"))
