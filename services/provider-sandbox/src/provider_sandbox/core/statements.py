"""What a provider says happened to the balance; and the lies a test may plant in it."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from provider_sandbox.core.chance import Draw
from provider_sandbox.core.faults import Part, Rate
from provider_sandbox.core.provider import Provider

if TYPE_CHECKING:
    from provider_sandbox.core.world import World

BreakKind = Literal["missing", "doubled", "amount", "late", "fee"]
BREAK_KINDS: tuple[BreakKind, ...] = ("missing", "doubled", "amount", "late", "fee")


@dataclass(frozen=True)
class Line:
    """One movement of the balance. Amounts in minor units; `net` is what the balance moved by."""

    id: str
    at: float
    available_at: float
    kind: str
    source: str
    reference: str
    gross_minor: int
    fee_minor: int
    currency: str
    description: str = ""
    status: str = "S"
    """Of those who say one: pending, done or denied."""

    @property
    def net_minor(self) -> int:
        """What the balance moved by."""
        return self.gross_minor - self.fee_minor


class Break(Part):
    """A lie about one line, named by its id, its source or its reference."""

    kind: BreakKind
    line: Annotated[str, Field(min_length=1, max_length=200)]
    by_minor: int = 100
    """Added to the amount (`amount`) or to the fee (`fee`)."""
    by_s: Annotated[float, Field(ge=0, le=31_536_000)] = 86_400
    """Seconds by which it is late."""


class Breaks(Part):
    """The lies of one provider: single ones, and shares of all lines, chosen by the seed."""

    planted: Annotated[list[Break], Field(max_length=10_000)] = []  # noqa: RUF012
    rates: dict[BreakKind, Rate] = {}  # noqa: RUF012


def book(world: "World", provider: str, line: Line) -> None:
    """Move the balance."""
    world.store.put(f"{provider} line", line.id, asdict(line))


def lines(world: "World", provider: str) -> list[Line]:
    """Every movement as it really was, the oldest first."""
    return [Line(**found) for found in world.store.all(f"{provider} line")]


def breaks_of(world: "World", provider: str) -> Breaks:
    """The lies that are planted."""
    return Breaks.model_validate(world.store.find("breaks", provider) or {})


def stated(world: "World", provider: str, start: float, end: float) -> list[Line]:
    """The movements of a window as the provider states them, lies included."""
    breaks = breaks_of(world, provider)
    told: list[Line] = []
    for line in lines(world, provider):
        told += _told(line, _breaks_for(line, breaks, world.chance.seed))
    return [line for line in told if start <= line.at < end]


def _breaks_for(line: Line, breaks: Breaks, seed: int) -> list[Break]:
    names = {line.id, line.source, line.reference}
    found = [one for one in breaks.planted if one.line in names]
    draw = Draw(seed, line.id, 1)
    found += [
        Break(kind=kind, line=line.id)
        for kind in BREAK_KINDS
        if draw.happens(kind, breaks.rates.get(kind, 0))
    ]
    return found


def _told(line: Line, breaks: Iterable[Break]) -> list[Line]:
    copies = 1
    for one in breaks:
        if one.kind == "missing":
            return []
        if one.kind == "doubled":
            copies = 2
        elif one.kind == "amount":
            line = replace(line, gross_minor=line.gross_minor + one.by_minor)
        elif one.kind == "fee":
            line = replace(line, fee_minor=line.fee_minor + one.by_minor)
        else:
            line = replace(line, at=line.at + one.by_s, available_at=line.available_at + one.by_s)
    return [line] * copies


def as_csv(provider: Provider, told: Sequence[Line]) -> str:
    """The statement as a file; a header line even where nothing happened."""
    text = io.StringIO()
    empty = Line("", 0, 0, "", "", "", 0, 0, "USD")
    writer = csv.DictWriter(text, fieldnames=list(provider.row(empty)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(provider.row(line) for line in told)
    return text.getvalue()
