"""What really happened, told by our references: the judge over captures that must not be double."""

from collections.abc import Iterable
from typing import Any

from provider_sandbox.core.store import Document

_SUMS = ("captured", "refunded", "disputed", "paid_out", "transferred", "returned")


def summary(facts: Iterable[Document]) -> dict[str, Any]:
    """Sums by reference over all providers, and the references that were charged twice.

    A reference is charged twice when two payments of it were captured, at one provider or at two.
    """
    references: dict[str, dict[str, Any]] = {}
    for fact in facts:
        told = references.setdefault(fact["reference"], _nothing())
        told["currencies"] = sorted({*told["currencies"], fact["currency"]})
        if fact["kind"] in _SUMS:
            told[f"{fact['kind']}_minor"] += fact["amount_minor"]
        for kind, objects in (
            ("captured", "payments"),
            ("paid_out", "payouts"),
            ("transferred", "transfers"),
        ):
            if fact["kind"] == kind:
                place = f"{fact['provider']}:{fact['payment']}"
                told[objects] = sorted({*told[objects], place})
    return {
        "references": references,
        "double_captures": _doubled(references, "payments"),
        "double_payouts": _doubled(references, "payouts"),
        "double_transfers": _doubled(references, "transfers"),
    }


def _nothing() -> dict[str, Any]:
    sums: dict[str, Any] = {f"{kind}_minor": 0 for kind in _SUMS}
    return sums | {"currencies": [], "payments": [], "payouts": [], "transfers": []}


def _doubled(references: dict[str, dict[str, Any]], objects: str) -> list[str]:
    return sorted(name for name, told in references.items() if name and len(told[objects]) > 1)
