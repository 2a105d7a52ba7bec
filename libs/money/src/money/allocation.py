"""Dividing an amount into parts to the last minor unit."""

from collections.abc import Sequence
from typing import Final

from money.errors import InvalidWeights
from money.money import Money
from money.strict import require_int

MAX_PARTS: Final = 100_000
"""Most parts one amount may be divided into."""


def allocate(money: Money, weights: Sequence[int]) -> list[Money]:
    """Divide an amount in proportion to `weights`, by largest remainder.

    The parts sum to the amount exactly, each is less than one minor unit away from its exact
    share, and a zero weight gets nothing. Left-over units go to the largest remainders, on a tie
    to the earlier position. A negative amount gives the negated parts of the positive one.
    Raises InvalidWeights when weights are empty, negative, all zero or more than MAX_PARTS.
    """
    total = _total_weight(weights)
    size = abs(money.minor)
    shares = [divmod(size * weight, total) for weight in weights]
    parts = [whole for whole, _ in shares]
    by_remainder = sorted(range(len(shares)), key=lambda at: (-shares[at][1], at))
    for at in by_remainder[: size - sum(parts)]:
        parts[at] += 1
    sign = -1 if money.minor < 0 else 1
    return [Money(sign * part, money.asset) for part in parts]


def split(money: Money, parts: int) -> list[Money]:
    """Divide an amount into equal parts; the first ones take the left-over minor units.

    Raises InvalidWeights unless there are 1..MAX_PARTS parts, TypeError unless `parts` is an int.
    """
    require_int("parts", parts)
    if not 1 <= parts <= MAX_PARTS:
        raise InvalidWeights(f"an amount is divided into 1..{MAX_PARTS} parts, not {parts}")
    return allocate(money, [1] * parts)


def _total_weight(weights: Sequence[int]) -> int:
    if len(weights) > MAX_PARTS:
        raise InvalidWeights(f"an amount is divided into at most {MAX_PARTS} parts")
    for weight in weights:
        require_int("weight", weight)
        if weight < 0:
            raise InvalidWeights("a weight is never negative")
    total = sum(weights)
    if total == 0:
        raise InvalidWeights("at least one weight must be above zero")
    return total
