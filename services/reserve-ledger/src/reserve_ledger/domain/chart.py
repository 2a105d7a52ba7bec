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
    address: str
    """What an amount is at when no address is named."""
    refined: tuple[str, ...] = ()
    """Further addresses that belong to it; `*` is any part, `**` one or more at the end."""
    may_owe: bool = False
    """Whether what is held there may fall below nothing: its holder takes more than it holds."""

    @property
    def may_be_overdrawn(self) -> bool:
        """Nobody spends what is not there; the platform's own accounts stand on either side."""
        return self.may_owe or self.kind not in (AccountKind.ASSET, AccountKind.LIABILITY)

    @property
    def normal(self) -> Side:
        """Assets, costs and the bridge stand in debit; liabilities and income in credit."""
        credit = self.kind in (AccountKind.LIABILITY, AccountKind.INCOME)
        return Side.CREDIT if credit else Side.DEBIT


TREASURY: Final = "1200"
SUSPENSE_IN: Final = "1900"
MERCHANT_AVAILABLE: Final = "2100"
MERCHANT_PENDING: Final = "2110"
ESCROW: Final = "2200"
REFUND_IN_FLIGHT: Final = "2400"
PAYER_UNAPPLIED: Final = "2500"
SUSPENSE_OUT: Final = "2900"
PLATFORM_FEE: Final = "4100"
CHARGEBACK_LOSS: Final = "5300"

_ACCOUNTS: Final = (
    Account("1100", "Bank", AccountKind.ASSET, "bank", ("bank:*",)),
    Account("1110", "Custody", AccountKind.ASSET, "custody", ("custody:*",)),
    Account(TREASURY, "Treasury on chain", AccountKind.ASSET, "treasury", ("treasury:*",)),
    Account("1210", "Unswept deposits", AccountKind.ASSET, "deposits", ("deposits:*",)),
    Account("1220", "Gas and fee float", AccountKind.ASSET, "gas", ("gas:*",), may_owe=True),
    Account(
        "1300",
        "Provider clearing",
        AccountKind.ASSET,
        "provider:clearing",
        ("provider:*:clearing",),
        may_owe=True,
    ),
    Account(
        "1310",
        "Provider payout in transit",
        AccountKind.ASSET,
        "provider:transit",
        ("provider:*:transit",),
    ),
    Account(SUSPENSE_IN, "Suspense in", AccountKind.ASSET, "suspense:in", ("suspense:in:*",)),
    Account(
        MERCHANT_AVAILABLE,
        "Merchant available",
        AccountKind.LIABILITY,
        "merchant:available",
        ("merchant:available:**",),
    ),
    Account(
        MERCHANT_PENDING,
        "Merchant pending",
        AccountKind.LIABILITY,
        "merchant:pending",
        ("merchant:pending:**",),
    ),
    Account(ESCROW, "Escrow", AccountKind.LIABILITY, "escrow", ("escrow:**", "invoice:*:escrow")),
    Account("2300", "Payout in flight", AccountKind.LIABILITY, "payout", ("payout:*",)),
    Account(REFUND_IN_FLIGHT, "Refund in flight", AccountKind.LIABILITY, "refund", ("refund:*",)),
    Account(PAYER_UNAPPLIED, "Payer unapplied", AccountKind.LIABILITY, "payer", ("payer:*",)),
    Account("2600", "Tokens in circulation", AccountKind.LIABILITY, "tokens", ("tokens:*",)),
    Account(
        SUSPENSE_OUT, "Suspense out", AccountKind.LIABILITY, "suspense:out", ("suspense:out:*",)
    ),
    Account(PLATFORM_FEE, "Platform fee", AccountKind.INCOME, "fees"),
    Account("4200", "Exchange result", AccountKind.INCOME, "exchange:result"),
    Account("5100", "Provider fees", AccountKind.COST, "costs:provider"),
    Account("5200", "Network fees", AccountKind.COST, "costs:network"),
    Account(CHARGEBACK_LOSS, "Chargeback loss", AccountKind.COST, "costs:chargeback"),
    Account("5400", "Dust and write-off", AccountKind.COST, "costs:dust"),
    Account("5500", "Failover cost", AccountKind.COST, "costs:failover"),
    Account("6000", "Exchange bridge", AccountKind.BRIDGE, "exchange:bridge"),
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
