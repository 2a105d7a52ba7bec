"""Where a payout goes: each rail has its own fields, checked before anything is kept."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_MEMO = re.compile(r"0x[0-9a-fA-F]{64}")
Check = Callable[[str], bool]


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.fullmatch(text)) and int(text, 16) != 0


def _is_memo(text: str) -> bool:
    return bool(_MEMO.fullmatch(text))


def _is_email(text: str) -> bool:
    return bool(_EMAIL.fullmatch(text))


def _is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text))


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a destination on one rail."""

    needed: Mapping[str, Check]
    allowed: Mapping[str, Check]


_ON_CHAIN = Form({"address": _is_address}, {"memo": _is_memo})
FORMS: Mapping[str, Form] = {
    "tempo": _ON_CHAIN,
    "evm-create2": _ON_CHAIN,
    "usdc": Form({"address": _is_address, "chain": _is_name}, {}),
    "wallet": Form({"email": _is_email}, {}),
    "paypal": Form({"email": _is_email}, {}),
    "card": Form({"account": _is_name}, {}),
    "bank": Form({"account": _is_name}, {}),
}
"""By the name of the rail."""
ALSO_CALLED: Mapping[str, str] = {"paypal": "wallet"}
"""Names that callers may use, and what the provider's rail is called."""


def flaw_of(rail: str, destination: Mapping[str, str]) -> str | None:
    """What is wrong with a destination; None where nothing is."""
    form = FORMS.get(rail)
    if form is None:
        return f"there is no rail {rail}; there are {', '.join(sorted(FORMS))}"
    known = {**form.needed, **form.allowed}
    for name in sorted(form.needed.keys() - destination.keys()):
        return f"a destination on {rail} has the field {name}"
    for name, text in sorted(destination.items()):
        if name not in known:
            return f"a destination on {rail} has no field {name}"
        if not known[name](text):
            return f"{text[:50]!r} is no {name} of {rail}"
    return None


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """One payout as it is asked for."""

    reference: str
    """The tenant's own name for it, unique among its payouts."""
    amount_minor: int
    asset: str
    rail: str
    destination: Mapping[str, str]


def hash_of(lines: Sequence[PayoutLine]) -> bytes:
    """Names exactly these lines in this order: what is agreed to when a batch is approved."""
    canonical = [
        [line.reference, line.amount_minor, line.asset, line.rail, sorted(line.destination.items())]
        for line in lines
    ]
    return hashlib.sha256(
        json.dumps(canonical, ensure_ascii=False, separators=(",", ":")).encode()
    ).digest()


def totals_of(lines: Sequence[PayoutLine]) -> dict[str, int]:
    """Minor units by asset."""
    totals: dict[str, int] = {}
    for line in lines:
        totals[line.asset] = totals.get(line.asset, 0) + line.amount_minor
    return dict(sorted(totals.items()))
