"""The chart of accounts. An account is a tenant, a code of this chart and an asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class AccountKind(StrEnum):
    """What an account stands for."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    COST = "cost"
    BRIDGE = "bridge"


class Side(StrEnum):
    """The side on which an account normally stands."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Account:
    """One line of the chart."""

    code: str
    name: str
    kind: AccountKind

    @property
    def normal(self) -> Side:
        """Assets, costs and the bridge stand in debit; liabilities and income in credit."""
        credit = self.kind in (AccountKind.LIABILITY, AccountKind.INCOME)
        return Side.CREDIT if credit else Side.DEBIT


TREASURY: Final = "1200"
SUSPENSE_IN: Final = "1900"
MERCHANT_AVAILABLE: Final = "2100"
PAYER_UNAPPLIED: Final = "2500"
SUSPENSE_OUT: Final = "2900"
PLATFORM_FEE: Final = "4100"

_ACCOUNTS: Final = (
    Account("1100", "Bank", AccountKind.ASSET),
    Account("1110", "Custody", AccountKind.ASSET),
    Account(TREASURY, "Treasury on chain", AccountKind.ASSET),
    Account("1210", "Unswept deposits", AccountKind.ASSET),
    Account("1220", "Gas and fee float", AccountKind.ASSET),
    Account("1300", "Provider clearing", AccountKind.ASSET),
    Account("1310", "Provider payout in transit", AccountKind.ASSET),
    Account(SUSPENSE_IN, "Suspense in", AccountKind.ASSET),
    Account(MERCHANT_AVAILABLE, "Merchant available", AccountKind.LIABILITY),
    Account("2110", "Merchant pending", AccountKind.LIABILITY),
    Account("2200", "Escrow", AccountKind.LIABILITY),
    Account("2300", "Payout in flight", AccountKind.LIABILITY),
    Account("2400", "Refund in flight", AccountKind.LIABILITY),
    Account(PAYER_UNAPPLIED, "Payer unapplied", AccountKind.LIABILITY),
    Account("2600", "Tokens in circulation", AccountKind.LIABILITY),
    Account(SUSPENSE_OUT, "Suspense out", AccountKind.LIABILITY),
    Account(PLATFORM_FEE, "Platform fee", AccountKind.INCOME),
    Account("4200", "Exchange result", AccountKind.INCOME),
    Account("5100", "Provider fees", AccountKind.COST),
    Account("5200", "Network fees", AccountKind.COST),
    Account("5300", "Chargeback loss", AccountKind.COST),
    Account("5400", "Dust and write-off", AccountKind.COST),
    Account("5500", "Failover cost", AccountKind.COST),
    Account("6000", "Exchange bridge", AccountKind.BRIDGE),
)

CHART: Final[Mapping[str, Account]] = MappingProxyType({a.code: a for a in _ACCOUNTS})
"""Every account by its code, in order of the codes; read-only."""


def holds_reserve(code: str) -> bool:
    """Whether what stands on the account is held for others: it must cover what circulates."""
    return CHART[code].kind is AccountKind.ASSET


def circulates(code: str) -> bool:
    """Whether what stands on the account is owed to merchants, payers and holders."""
    return CHART[code].kind is AccountKind.LIABILITY


def is_own(code: str) -> bool:
    """Whether the account is the platform's own income or cost."""
    return CHART[code].kind in (AccountKind.INCOME, AccountKind.COST)
