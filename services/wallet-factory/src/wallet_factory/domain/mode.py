"""Which mode a wallet gets: rules in order, the first that applies decides and says why.

A rule is never changed in place: what decided a wallet is stored with it by name and version, so
a change is a new version.
"""

from collections.abc import Callable
from dataclasses import dataclass

from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.invoice_v1 import SelectorInput, WalletPreference
from wallet_factory.domain.policy import PLATFORM_WAY, WalletPolicy


@dataclass(frozen=True, slots=True)
class ModeChoice:
    """What was chosen, by which rule, and why."""

    mode: WalletMode
    rule: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to choose a mode."""

    name: str
    """Name and version."""
    applies: Callable[[SelectorInput, WalletPreference, WalletPolicy], bool]
    mode: WalletMode | Callable[[WalletPreference, WalletPolicy], WalletMode]
    """One, or whose word it is."""
    reason: str


_KNOWN = frozenset(WalletMode)

RULES: tuple[Rule, ...] = (
    Rule(
        "instalments.v1",
        lambda asked, *_: asked.instalments > 1,
        WalletMode.PERSISTENT,
        "paid in instalments: the address must outlive the first payment, whatever was wished",
    ),
    Rule(
        "issuer_preference.v1",
        lambda _, wish, __: wish.mode in _KNOWN,
        lambda wish, _: WalletMode(str(wish.mode)),
        "the issuer asked for this mode",
    ),
    Rule(
        "recurring.v1",
        lambda asked, *_: asked.recurring,
        WalletMode.PERSISTENT,
        "belongs to a recurring series: payers keep standing orders to an address",
    ),
    Rule(
        "tenant_policy.v1",
        lambda _, __, policy: policy.mode is not None,
        lambda _, policy: policy.mode or WalletMode.EPHEMERAL,
        "the policy of the issuer's company says this mode",
    ),
    Rule(
        "payer_known.v1",
        lambda asked, *_: asked.payer_known,
        WalletMode.EPHEMERAL,
        "a single payment by a known payer: an address of its own attributes it without doubt",
    ),
    Rule(
        "one_off.v1",
        lambda *_: True,
        WalletMode.EPHEMERAL,
        "a single payment by a payer not known yet: nothing should outlive it",
    ),
)


WITHOUT_ADDRESS = ModeChoice(
    WalletMode.PERSISTENT,
    "rail_without_address.v1",
    ("the rail has no address of its own for an invoice: there is nothing that could be retired",),
)
"""On such a rail a wallet is persistent, unless the issuer asked for another mode."""


def choose_mode(
    asked: SelectorInput, wish: WalletPreference, policy: WalletPolicy = PLATFORM_WAY
) -> ModeChoice:
    """The mode the first applicable rule gives; the last rule applies always."""
    rule = next(rule for rule in RULES if rule.applies(asked, wish, policy))
    mode = rule.mode(wish, policy) if callable(rule.mode) else rule.mode
    reasons = [rule.reason]
    if wish.mode is not None and wish.mode != mode:
        reasons.append(f"the issuer wished {str(wish.mode)[:40]!r}; that could not be followed")
    return ModeChoice(mode, rule.name, tuple(reasons))
