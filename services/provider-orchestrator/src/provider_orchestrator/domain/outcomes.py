"""What a call of a provider can come to: a closed list, and what each means (ADR 0022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType

PPM = 1_000_000


class Outcome(StrEnum):
    """What a call of a provider came to. An adapter folds whatever it meets into one of these."""

    OK = "ok"
    """It did what was asked for."""
    DECLINED = "declined"
    """The issuer or the payer said no: an answer, and no fault of the provider."""
    OUR_FAULT = "our_fault"
    """The provider finds the request wrong: a defect of ours, wherever it is sent."""
    THROTTLED = "throttled"
    """Not served for now (429)."""
    INFRA = "infra"
    """Not served, and provably not accepted: no connection, or refused before acceptance."""
    UNKNOWN = "unknown"
    """Sent, and no answer that can be believed: it may have happened."""
    AUTH = "auth"
    """Our credentials are not taken (401, 403)."""


class NextStep(StrEnum):
    """What becomes of the operation after an outcome."""

    DONE = auto()
    STOP = auto()
    """Nowhere else would it end otherwise."""
    ASK_PAYER = auto()
    """Another provider only for a soft decline, and when the payer agrees."""
    WAIT = auto()
    """As long as the provider asks for, and send nothing more there meanwhile."""
    FAIL_OVER = auto()
    """Nothing happened: another provider may be tried at once."""
    INQUIRE = auto()
    """Ask the provider what happened. Nobody else may be tried until that is known."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an outcome says of the provider, and what follows for the operation."""

    good_ppm: int | None
    """What the health moves towards, parts per million; None where it says nothing of it."""
    fails: bool
    """Whether it counts towards the failures in a row that open the circuit."""
    next: NextStep


MEANINGS: Mapping[Outcome, Meaning] = MappingProxyType(
    {
        Outcome.OK: Meaning(PPM, fails=False, next=NextStep.DONE),
        Outcome.DECLINED: Meaning(None, fails=False, next=NextStep.ASK_PAYER),
        Outcome.OUR_FAULT: Meaning(None, fails=False, next=NextStep.STOP),
        Outcome.THROTTLED: Meaning(PPM // 2, fails=False, next=NextStep.WAIT),
        Outcome.INFRA: Meaning(0, fails=True, next=NextStep.FAIL_OVER),
        Outcome.UNKNOWN: Meaning(0, fails=True, next=NextStep.INQUIRE),
        Outcome.AUTH: Meaning(0, fails=True, next=NextStep.FAIL_OVER),
    }
)
