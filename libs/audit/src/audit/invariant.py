"""An invariant: a name, a sentence that always holds, and the query that finds where not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Judge = Callable[[Sequence[Row]], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that must always hold.

    The query returns the rows that break it. It may use `%(before)s`: what is younger than that
    moment may still be on its way between two services, so it is not compared yet; and `%(due)s`:
    what was due before that moment has been done.
    """

    name: str
    """Theme and fact, `ledger.entries_balanced`: the name in tables, metrics and alerts."""
    sentence: str
    """What always holds, in words."""
    sql: str
    reference: str = ""
    """Its number in the list of promises (I1 to I30), where it is one of them."""
    settled: bool = False
    """Compares services with one another, so holds only for what had time to settle."""
    topics: bool = False
    """Needs the records of the topics."""
    judge: Judge | None = None
    """Where SQL cannot decide: given the query's rows, those of them (or others) that are wrong."""

    @property
    def theme(self) -> str:
        """The part before the dot."""
        return self.name.partition(".")[0]
