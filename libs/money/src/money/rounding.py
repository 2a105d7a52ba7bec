"""Exact integer division with a named rounding mode. The only place where anything is rounded."""

from enum import StrEnum
from typing import assert_never

from money.strict import require_int


class Rounding(StrEnum):
    """How a value between two integers becomes one of them.

    `half_up` and `up` move away from zero and `down` towards zero, so that -x always rounds to
    minus what x rounds to; `floor` and `ceiling` follow the number line.
    """

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    UP = "up"
    DOWN = "down"
    FLOOR = "floor"
    CEILING = "ceiling"


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Return numerator / denominator as an integer, rounded once and exactly.

    Raises TypeError unless both are ints, ZeroDivisionError for a zero denominator and
    ValueError for an unknown mode.
    """
    require_int("numerator", numerator)
    require_int("denominator", denominator)
    mode = Rounding(rounding)
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    lower, rest = divmod(numerator, denominator)
    if rest == 0:
        return lower
    beyond_half = 2 * rest - denominator
    return lower + 1 if _takes_upper(mode, lower, beyond_half) else lower


def _takes_upper(mode: Rounding, lower: int, beyond_half: int) -> bool:
    """Choose between `lower` and `lower + 1` for a value strictly between them.

    `beyond_half` is negative, zero or positive as the value lies below, at or above the middle.
    """
    positive = lower >= 0
    match mode:
        case Rounding.FLOOR:
            return False
        case Rounding.CEILING:
            return True
        case Rounding.DOWN:
            return not positive
        case Rounding.UP:
            return positive
        case Rounding.HALF_UP:
            return beyond_half > 0 or (beyond_half == 0 and positive)
        case Rounding.HALF_EVEN:
            return beyond_half > 0 or (beyond_half == 0 and lower % 2 == 1)
        case _:
            assert_never(mode)
