"""Which mode a wallet gets where rules leave it open: by a learned model, once it has earned it.

Rules come first and are never learned. The model estimates how likely a persistent wallet is to
be the right one; it decides only while it is live, where a rule allows it, and outside a band of
doubt. What it would have said is kept with every decision: it is judged before it counts.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from money import MoneyError, asset
from wallet_factory.domain.mode import ModeChoice, choose_mode
from wallet_factory.domain.policy import PLATFORM_WAY, WalletPolicy

MICRO = 1_000_000
LEARNABLE = frozenset({"payer_known.v1", "one_off.v1"})
"""Rules that are defaults; every other one is hard."""
SMALL = "small_one_off.v1"
MODEL_RULE = "model.v1"
EXPLORED_RULE = "exploration.v1"
DOUBT_PPM = (400_000, 600_000)
EXPLORATION_PPM = 20_000
REASONS = 4


class Standing(StrEnum):
    """What the model may do."""

    SHADOW = "shadow"
    """It is asked and not followed: it has not earned its place, or has lost it."""
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Model:
    """A version of the model, whole enough to decide by without the library that learns it."""

    version: int
    standing: Standing
    hash: str
    intercept: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)

    def contributions(self, features: Mapping[str, int]) -> dict[str, float]:
        """Weight times scaled value of each feature."""
        return {
            name: self.weights.get(name, 0.0) * self._scaled(name, value / MICRO)
            for name, value in features.items()
        }

    def _scaled(self, name: str, value: float) -> float:
        deviation = self.deviations.get(name, 0.0)
        return (value - self.means.get(name, 0.0)) / deviation if deviation else 0.0


@dataclass(frozen=True, slots=True)
class Selector:
    """What decides: the model this process has loaded, and who wants none."""

    model: Model | None = None
    stopped: frozenset[UUID] = frozenset()
    """Tenants that switched it off."""
    stopped_for_all: bool = False
    small_amounts: Mapping[str, int] = field(default_factory=dict)
    """Up to this many minor units of an asset an invoice is small."""
    policies: Mapping[UUID, tuple[int, WalletPolicy]] = field(default_factory=dict)
    """Version and policy of each tenant that has written one."""

    def policy_of(self, tenant_id: UUID) -> tuple[int | None, WalletPolicy]:
        """What a tenant wants, and in which version it said so."""
        return self.policies.get(tenant_id, (None, PLATFORM_WAY))


@dataclass(frozen=True, slots=True)
class Selection:
    """A mode and everything it was chosen by."""

    choice: ModeChoice
    rule: str
    """The rule that would have decided without a model."""
    features: Mapping[str, int]
    probability_ppm: int | None = None
    """That a persistent wallet is right, by the model; None where there is no model."""
    contributions_ppm: Mapping[str, int] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    """What was asked, in order, and what it said."""
    override: str | None = None
    """The mode the issuer asked for."""


def features_of(request: InvoiceIssuing, days_to_due: int) -> dict[str, int]:
    """What the model may look at, in millionths; nothing about who the payer is as a person."""
    asked = request.selector
    try:
        unit = asset(request.asset)
    except MoneyError:
        unit = asset("USD")
    units = request.due.amount_minor / 10**unit.exponent
    values: dict[str, float] = {
        "log_amount": math.log10(units + 1),
        "token_asset": unit.is_token,
        "days_to_due": min(max(days_to_due, -30), 365),
        "payer_known": asked.payer_known,
        "payer_invoices": asked.payer_invoices or 0,
        "payer_settled": asked.payer_settled or 0,
        "payer_has_wallet": bool(asked.payer_pays_by_token),
        "issuer_late": (asked.issuer_late_ppm or 0) / MICRO,
        "log_bulk_size": math.log10(asked.bulk_size),
    }
    return {name: round(value * MICRO) for name, value in values.items()}


def select(request: InvoiceIssuing, selector: Selector, days_to_due: int) -> Selection:
    """The mode of an invoice's wallet, by rules, and by the model where they leave it open."""
    _, policy = selector.policy_of(request.tenant_id)
    choice = choose_mode(request.selector, request.wallet, policy)
    features = features_of(request, days_to_due)
    path = [choice.rule]
    small = {**selector.small_amounts, **policy.small_amounts}.get(request.asset, 0)
    if choice.rule == "one_off.v1" and request.due.amount_minor <= small:
        choice = ModeChoice(WalletMode.EPHEMERAL, SMALL, choice.reasons)
        path.append(SMALL)
    override = str(request.wallet.mode)[:40] if request.wallet.mode is not None else None
    model = selector.model
    if model is None:
        path.append("no_model")
        return Selection(choice, choice.rule, features, path=tuple(path), override=override)
    parts = model.contributions(features)
    probability = _sigmoid(model.intercept + sum(parts.values()))
    said = _followed(request, selector, model, choice.rule, round(probability * MICRO))
    path.append(said)
    selection = Selection(
        choice,
        choice.rule,
        features,
        round(probability * MICRO),
        {name: round(value * MICRO) for name, value in parts.items()},
        tuple(path),
        override,
    )
    return _decided(selection, said, request.invoice_id)


def _followed(
    request: InvoiceIssuing, selector: Selector, model: Model, rule: str, probability_ppm: int
) -> str:
    """Whether the model decides, and if not, what keeps it from that."""
    if rule not in LEARNABLE:
        return "rule_is_hard"
    if selector.stopped_for_all or request.tenant_id in selector.stopped:
        return "switched_off"
    if model.standing is not Standing.LIVE:
        return "in_shadow"
    if _draw(request.invoice_id) < EXPLORATION_PPM:
        return "explored"
    low, high = DOUBT_PPM
    return "in_doubt" if low <= probability_ppm <= high else "model_decides"


def _decided(selection: Selection, said: str, invoice_id: UUID) -> Selection:
    if said == "explored":
        mode = (WalletMode.EPHEMERAL, WalletMode.PERSISTENT)[invoice_id.int & 1]
        choice = ModeChoice(mode, EXPLORED_RULE, ("chosen by lot, to learn from what comes of it",))
    elif said == "model_decides":
        assert selection.probability_ppm is not None
        persistent = selection.probability_ppm > DOUBT_PPM[1]
        mode = WalletMode.PERSISTENT if persistent else WalletMode.EPHEMERAL
        choice = ModeChoice(mode, MODEL_RULE, reasons_of(selection.contributions_ppm))
    else:
        return selection
    return Selection(
        choice,
        selection.rule,
        selection.features,
        selection.probability_ppm,
        selection.contributions_ppm,
        selection.path,
        selection.override,
    )


def reasons_of(contributions_ppm: Mapping[str, int]) -> tuple[str, ...]:
    """The features that weighed most, the heaviest first."""
    heaviest = sorted(contributions_ppm.items(), key=lambda item: (-abs(item[1]), item[0]))
    return tuple(
        f"{name} speaks for {'persistent' if weight > 0 else 'ephemeral'}"
        f" ({abs(weight) / MICRO:.2f})"
        for name, weight in heaviest[:REASONS]
        if weight
    )


def _draw(invoice_id: UUID) -> int:
    """A number below a million that the invoice alone decides: a decision can be made again."""
    digest = hashlib.blake2b(invoice_id.bytes, digest_size=8, person=b"selector").digest()
    return int.from_bytes(digest, "big") % MICRO


def _sigmoid(value: float) -> float:
    bounded = max(-30.0, min(30.0, value))
    return 1 / (1 + math.exp(-bounded))


def entry_of(selection: Selection, model: Model | None, attempt: int) -> dict[str, Any]:
    """A decision as it is logged; integers alone, so that it has one form."""
    return {
        "attempt": attempt,
        "mode": selection.choice.mode,
        "rule": selection.choice.rule,
        "rule_without_model": selection.rule,
        "path": list(selection.path),
        "reasons": list(selection.choice.reasons),
        "override": selection.override,
        "features_micro": dict(selection.features),
        "probability_ppm": selection.probability_ppm,
        "contributions_ppm": dict(selection.contributions_ppm),
        "model_version": model.version if model else None,
        "model_hash": model.hash if model else None,
    }
