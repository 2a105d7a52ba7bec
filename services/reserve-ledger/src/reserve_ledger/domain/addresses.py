"""Addresses: names of accounts that refine a code of the chart.

`provider:stripe:clearing` is a part of 1300, `merchant:available:shop-7` a part of 2100. Which code
an address belongs to is decided by its form alone, so that it can never change.
"""

import re
from functools import lru_cache
from typing import Final

from reserve_ledger.domain.chart import CHART

ADDRESS_LENGTH_MAX: Final = 160
GRAMMAR: Final = r"[a-z][a-z0-9_-]{0,63}(?::[a-z0-9][a-z0-9_-]{0,63}){0,7}"
"""Parts of small letters, digits, `_` and `-`, with a colon between; eight at the most."""
_GRAMMAR: Final = re.compile(GRAMMAR, re.ASCII)
_ANY: Final = "*"
_REST: Final = "**"


@lru_cache(maxsize=65_536)
def code_of(address: str) -> str | None:
    """The code an address belongs to; None where it is none of ours."""
    if len(address) > ADDRESS_LENGTH_MAX or _GRAMMAR.fullmatch(address) is None:
        return None
    parts = address.split(":")
    for pattern, code in _PATTERNS:
        if _matches(parts, pattern):
            return code
    return None


def own_address(code: str) -> str:
    """The address of what a code holds beside its refinements."""
    return CHART[code].address


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if pattern[-1] == _REST:
        fixed = pattern[:-1]
        return len(parts) > len(fixed) and parts[: len(fixed)] == fixed
    return len(parts) == len(pattern) and all(
        wanted in (_ANY, part) for part, wanted in zip(parts, pattern, strict=True)
    )


_PATTERNS: Final = [
    (pattern.split(":"), account.code)
    for account in CHART.values()
    for pattern in (account.address, *account.refined)
]
