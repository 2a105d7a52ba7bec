"""What a run of a suite says of a mutation. Only a test that ran and failed has caught it."""

from dataclasses import dataclass
from enum import StrEnum
from xml.etree import ElementTree as ET

TESTS_FAILED = 1
"""Exit code of pytest when tests ran and failed; others are errors of collection or use."""
_NOT_A_VERDICT = (
    "ImportError",
    "ModuleNotFoundError",
    "NameError",
    "SyntaxError",
    "IndentationError",
)


class Verdict(StrEnum):
    """How it ended for a mutation."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    BROKEN = "broken"
    """The code did not even run: that says nothing of the suite."""
    TOO_SLOW = "too slow"
    """The suite reached its time limit without a verdict."""
    NO_LONGER_APPLIES = "no longer applies"
    SUITE_FAILS_WITHOUT_IT = "suite fails without it"


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed where it asserts, not where it is set up."""

    test: str
    message: str


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a suite; `code` is None when its time was over."""

    code: int | None
    seconds: float
    failures: tuple[Failure, ...] = ()
    unready: tuple[Failure, ...] = ()
    """Tests that could not be set up or taken down."""
    output: str = ""
    """Its last lines."""


def failures_in(report: str, kind: str = "failure") -> tuple[Failure, ...]:
    """Failed calls in a JUnit report; of kind `error` those in collection, set-up and tear-down."""
    found = []
    for case in ET.fromstring(report).iter("testcase"):
        for failure in case.iter(kind):
            file = case.get("classname", "").replace(".", "/") + ".py"
            found.append(Failure(f"{file}::{case.get('name')}", failure.get("message", "")))
    return tuple(found)


def of(run: Run) -> Verdict:
    """The verdict of a run with the mutation planted."""
    if run.code is None:
        return Verdict.TOO_SLOW
    if run.code == 0:
        return Verdict.SURVIVED
    if run.code != TESTS_FAILED or not run.failures:
        return Verdict.BROKEN
    if all(failure.message.startswith(_NOT_A_VERDICT) for failure in run.failures):
        return Verdict.BROKEN
    return Verdict.CAUGHT
