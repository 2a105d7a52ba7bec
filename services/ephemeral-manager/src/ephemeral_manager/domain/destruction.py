"""The end: the guard before it, asking until it is confirmed, and the certificate of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ephemeral_manager.domain.matters import Open
from ephemeral_manager.domain.wallet import Alarm, State, Step, Wake, Wallet, watch_alarm
from invoiceos_contracts import encode
from invoiceos_contracts.ephemeral_v1 import (
    CertificateBody,
    EphemeralWalletDestroying,
    Guard,
)
from invoiceos_contracts.provider_v1 import WalletBalanceObserved
from invoiceos_contracts.wallet_v1 import WalletSecretsDestroyed

VERSION = 1
BACKOFF_S = 30
BACKOFF_S_MAX = 3600
POLICY = (
    "destruction.v1: drained; watch window over; no payment unknown; no dispute, refund or legal "
    "hold open; secrets deleted and read back as absent; balance zero at the block named"
)
OFF_CHAIN_POLICY = (
    "destruction.v1: drained; watch window over; no payment unknown; no dispute, refund or legal "
    "hold open; secrets deleted and read back as absent; the rail has no chain, so no balance "
    "could be read: every payment that was announced had been booked, taken back or put aside"
)
ALSO_KEPT = (
    "Ledger entries, payment records, events and this certificate: they are the books.",
    (
        "This certificate is evidence that the procedure was carried out, not a mathematical "
        "proof that no copy exists."
    ),
)


def guard_of(wallet: Wallet, still_open: Open, *, window_over: bool) -> Guard:
    """The values that decide whether a wallet may be destroyed."""
    return Guard(
        drained=wallet.drained_at is not None,
        watch_window_over=window_over,
        unknown_payments=still_open.payments,
        open_disputes=still_open.disputes,
        open_refunds=still_open.refunds,
        legal_hold=wallet.legal_hold_reason is not None,
    )


def passes(guard: Guard) -> bool:
    """Whether nothing stands against destruction."""
    clear = guard.unknown_payments == guard.open_disputes == guard.open_refunds == 0
    return guard.drained and guard.watch_window_over and clear and not guard.legal_hold


def end_watch(wallet: Wallet, guard: Guard, attempt: int, retry_s: int, now: datetime) -> Step:
    """The watch window is over: begin to destroy if the guard passes, else look again later."""
    if wallet.state is not State.WATCHING:
        return Step(wallet)
    if not passes(guard):
        later = now + timedelta(seconds=backoff(BACKOFF_S, attempt))
        return Step(wallet, (), (watch_alarm(wallet, later, attempt + 1),))
    return _ask(wallet.go(State.DESTROYING, destroying_at=now), guard, retry_s, now)


def ask_again(wallet: Wallet, guard: Guard, retry_s: int, now: datetime) -> Step:
    """Not every holder has confirmed: ask again, as long as the guard still passes."""
    if wallet.state is not State.DESTROYING:
        return Step(wallet)
    if passes(guard):
        return _ask(wallet.go(State.DESTROYING), guard, retry_s, now)
    waiting = replace(wallet, asked=wallet.asked + 1)
    return Step(waiting, (), (_destroy_alarm(waiting, retry_s, now),))


def _ask(wallet: Wallet, guard: Guard, retry_s: int, now: datetime) -> Step:
    asked = replace(wallet, guard=guard, asked=wallet.asked + 1)
    fact = EphemeralWalletDestroying(
        **wallet.names,
        rail=wallet.rail,
        chain_id=wallet.chain_id,
        address=wallet.address,
        guard=guard,
    )
    return Step(asked, (fact,), (_destroy_alarm(asked, retry_s, now),))


def _destroy_alarm(wallet: Wallet, retry_s: int, now: datetime) -> Alarm:
    delay = timedelta(seconds=backoff(retry_s, wallet.asked - 1))
    return Alarm(Wake.DESTROY, now + delay)


def backoff(first_s: int, attempt: int) -> int:
    """Seconds to wait: doubles with each attempt, an hour at most."""
    return min(BACKOFF_S_MAX, first_s << min(attempt, 12))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What others have said of a destruction so far."""

    secrets: WalletSecretsDestroyed | None = None
    balance: WalletBalanceObserved | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The last certificate of a tenant."""

    number: int
    hash: str


def is_clean(balance: WalletBalanceObserved) -> bool:
    """Whether nothing was in the wallet or on its way to it."""
    empty = all(amount.amount_minor == 0 for amount in balance.balances)
    return empty and balance.payments_pending == 0


def certificate_body(
    wallet: Wallet, evidence: Evidence, previous: Head, now: datetime
) -> CertificateBody | None:
    """The body of the next certificate; None while evidence is missing or speaks against it.

    A wallet without a chain holds nothing itself: there its payments, all of which must have come
    to their end, stand in for the balance.
    """
    secrets, balance = evidence.secrets, evidence.balance
    if secrets is None or wallet.guard is None:
        return None
    if wallet.chain_id is not None and (balance is None or not is_clean(balance)):
        return None
    return CertificateBody(
        version=VERSION,
        certificate_number=previous.number + 1,
        tenant_id=encode("ten", wallet.tenant_id),
        wallet_id=encode("wal", wallet.id),
        invoice_id=encode("inv", wallet.invoice_id),
        rail=wallet.rail,
        chain_id=wallet.chain_id,
        address=wallet.address,
        created_at=wallet.created_at,
        destroyed_at=now,
        reason=wallet.closures[-1].reason,
        destroyed=secrets.items,
        kept=secrets.kept + ALSO_KEPT,
        final_block=balance.block_number if balance else None,
        final_block_hash=balance.block_hash if balance else None,
        balances=balance.balances if balance else (),
        guard=wallet.guard,
        policy=POLICY if wallet.chain_id is not None else OFF_CHAIN_POLICY,
        previous_hash=previous.hash,
    )
