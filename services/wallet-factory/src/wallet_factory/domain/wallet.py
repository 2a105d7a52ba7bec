"""A request for a wallet and what becomes of it: pure, total, one at a time."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from invoiceos_contracts import Event, encode
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.wallet_v1 import (
    DestroyedItem,
    WalletFailed,
    WalletModeSelected,
    WalletReady,
    WalletSecretsDestroyed,
)
from wallet_factory.domain.health import Circuit
from wallet_factory.domain.mode import WITHOUT_ADDRESS, ModeChoice
from wallet_factory.domain.policy import ordered
from wallet_factory.domain.rails import RAIL_RULE, TENANT_RULE, Rail, RailChoice, choose_rail
from wallet_factory.domain.selector import Selection, Selector, select

TEMPO = "tempo"
TTL_S_MAX = 10 * 366 * 24 * 3600
"""Ten years: what a date can hold and an invoice can mean."""

_NO_KEY = "No private key was destroyed: none ever existed for an address of this rail."
_ALSO = (
    (
        "The platform's address key, which serves all addresses: with it the sequence number can "
        "be computed from the address again."
    ),
    (
        "Transfers and memos on the public chain; without the salt the memo can no longer be shown "
        "to belong to the invoice."
    ),
    "Backups and database logs made before the destruction, until their retention ends.",
)
KEPT_OFF_CHAIN = (
    "No private key was destroyed, and nothing was on a chain: this rail has neither.",
    (
        "The reference, and which invoice it was made for: what a provider still reports under it "
        "is booked as late money."
    ),
    (
        "What the payment service providers keep of their payments; without the salt the memo they "
        "were given can no longer be shown to belong to the invoice."
    ),
    "Backups and database logs made before the destruction, until their retention ends.",
)
KEPT = (
    _NO_KEY,
    (
        "The address, and which invoice it was made for: it forwards to the treasury for ever and "
        "stays in the watch set, so that money that comes late is booked."
    ),
    *_ALSO,
)
KEPT_WHERE_FETCHED = (
    _NO_KEY,
    (
        "The address, its CREATE2 salt, and which invoice it was made for: what comes late is "
        "booked, and fetched to the treasury, which is the only place it can go."
    ),
    *_ALSO,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that was decided on a request; stored whether or not a wallet came of it."""

    request: InvoiceIssuing
    mode: ModeChoice
    choice: RailChoice
    failure: str | None
    """Why there is no wallet; None where there is one."""
    selection: Selection
    """Everything the mode was chosen by; the rail may have had the last word."""
    policy_version: int | None = None
    """Of the tenant's own policy; None where it has written none."""
    rail_rule: str = RAIL_RULE
    """In whose order rails were tried."""

    @property
    def rail(self) -> Rail | None:
        """The rail of the wallet, where there is one."""
        return None if self.failure else self.choice.rail

    @property
    def inputs(self) -> dict[str, Any]:
        """What the rules looked at."""
        asked = self.request
        return {
            "asset": asked.asset,
            "due": asked.due.model_dump(mode="json"),
            "wallet": asked.wallet.model_dump(mode="json"),
            "selector": asked.selector.model_dump(mode="json"),
            "attempt": asked.attempt,
        }


@dataclass(frozen=True, slots=True)
class Wallet:
    """The place an invoice is paid into."""

    id: UUID
    decision: Decision
    rail: Rail
    address: str
    memo: str
    memo_salt: bytes
    salt: str | None
    derivation: bytes
    accepted_assets: tuple[str, ...]
    created_at: datetime
    expires_at: datetime


def decide(
    request: InvoiceIssuing,
    rails: Sequence[Rail],
    circuits: Sequence[Circuit],
    selector: Selector,
    *,
    now: datetime,
) -> Decision:
    """Choose mode and rail, or say why the invoice cannot have a wallet now."""
    selection = select(request, selector, (request.due_at - now).days)
    mode = selection.choice
    version, policy = selector.policy_of(request.tenant_id)
    choice = choose_rail(ordered(rails, policy), circuits, request.asset, mode.mode)
    if choice.rail is not None and choice.rail.chain_id is None and request.wallet.mode is None:
        mode = WITHOUT_ADDRESS
    failure = choice.failure if choice.rail is None else None
    window = request.wallet.watch_window_s
    if not (0 < request.wallet.ttl_s <= TTL_S_MAX and 0 <= window <= TTL_S_MAX):
        failure = "ttl_out_of_range"
    rule = TENANT_RULE if policy.rails else RAIL_RULE
    return Decision(request, mode, choice, failure, selection, version, rule)


def make_wallet(
    decision: Decision, place: int, wallet_id: UUID, random: bytes, *, now: datetime
) -> Wallet:
    """The wallet of a decision at a place of its rail's counter.

    `random` is 48 fresh bytes: the memo's salt, and 16 that keep the fingerprint of the
    derivation from telling the sequence number.
    """
    rail, request = decision.rail, decision.request
    assert rail is not None
    salt, blind = random[:32], random[32:]
    return Wallet(
        id=wallet_id,
        decision=decision,
        rail=rail,
        address=rail.address(place),
        memo=memo_of(salt, request.invoice_id),
        memo_salt=salt,
        salt=rail.salt(place),
        derivation=rail.derivation(place) + blind,
        accepted_assets=rail.accepts(request.asset),
        created_at=now,
        expires_at=now + timedelta(seconds=request.wallet.ttl_s),
    )


def memo_of(salt: bytes, invoice_id: UUID) -> str:
    """Commitment to the invoice that reveals nothing of it: HMAC-SHA256 under the wallet's salt."""
    public_id = encode("inv", invoice_id).encode()
    return "0x" + hmac.new(salt, public_id, hashlib.sha256).hexdigest()


def ready_facts(wallet: Wallet) -> list[Event]:
    """How the mode was selected, then where to pay."""
    decision, request = wallet.decision, wallet.decision.request
    selected = WalletModeSelected(
        tenant_id=request.tenant_id,
        wallet_id=wallet.id,
        invoice_id=request.invoice_id,
        mode=decision.mode.mode,
        rule=decision.mode.rule,
        reasons=decision.mode.reasons,
    )
    ready = WalletReady(
        tenant_id=request.tenant_id,
        wallet_id=wallet.id,
        invoice_id=request.invoice_id,
        mode=decision.mode.mode,
        rail=wallet.rail.name,
        chain_id=wallet.rail.chain_id,
        address=wallet.address,
        memo=wallet.memo,
        accepted_assets=wallet.accepted_assets,
        due=request.due,
        ttl_s=request.wallet.ttl_s,
        watch_window_s=request.wallet.watch_window_s,
        expires_at=wallet.expires_at,
        decision=decision.rail_rule,
        salt=wallet.salt,
    )
    return [selected, ready]


def failed_fact(decision: Decision, attempt_id: UUID) -> WalletFailed:
    """No wallet. The id names this attempt alone: a later one has a history of its own."""
    request = decision.request
    return WalletFailed(
        tenant_id=request.tenant_id,
        wallet_id=attempt_id,
        invoice_id=request.invoice_id,
        reason=decision.failure or decision.choice.failure,
        tried=tuple(str(item) for item in decision.choice.skipped),
    )


@dataclass(frozen=True, slots=True)
class Destroyed:
    """Secrets as they were just before they were deleted."""

    tenant_id: UUID
    wallet_id: UUID
    invoice_id: UUID
    chain_id: int | None
    rail: str
    memo_salt: bytes
    derivation: bytes


def destroyed_fact(gone: Destroyed, *, now: datetime) -> WalletSecretsDestroyed:
    """What no longer exists, and what does: the certificate is to be the whole truth."""
    return WalletSecretsDestroyed(
        tenant_id=gone.tenant_id,
        wallet_id=gone.wallet_id,
        invoice_id=gone.invoice_id,
        items=(
            DestroyedItem(what="memo salt", fingerprint=_fingerprint(gone.memo_salt)),
            DestroyedItem(
                what=_derived(gone),
                fingerprint=_fingerprint(gone.derivation),
            ),
        ),
        kept=_kept(gone),
        destroyed_at=now,
    )


def _derived(gone: Destroyed) -> str:
    if gone.chain_id is None:
        return "reference record"
    kind = "tag" if gone.rail == TEMPO else "salt"
    return f"{kind} derivation record (sequence number)"


def _kept(gone: Destroyed) -> tuple[str, ...]:
    if gone.chain_id is None:
        return KEPT_OFF_CHAIN
    return KEPT if gone.rail == TEMPO else KEPT_WHERE_FETCHED


def _fingerprint(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
