"""Give each invoice the wallet it will be paid into, once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invoiceos_contracts import PLATFORM, Event
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from messaging import Tx
from wallet_factory import store
from wallet_factory.commands.label_decisions import note_payers
from wallet_factory.commands.learn_modes import model_in_use
from wallet_factory.commands.log_decisions import log_decisions
from wallet_factory.domain import wallet as domain
from wallet_factory.domain.configured import rails_of
from wallet_factory.domain.selector import Selector
from wallet_factory.domain.wallet import Decision, Wallet
from wallet_factory.settings import settings
from wallet_factory.store.policies import select_policies
from wallet_factory.store.selector import select_stopped


@dataclass(frozen=True, slots=True)
class WalletRequest:
    """An invoice that is being issued, and the fact that said so."""

    issuing: InvoiceIssuing
    cause: UUID


async def provision_wallets(tx: Tx, requests: Sequence[WalletRequest]) -> None:
    """Give each invoice its wallet.

    An invoice that has one is left alone, and so is an attempt that was decided: the same request
    may come again. A request that no rail can serve ends in `WalletFailed`, never in an exception,
    so it cannot hold up its neighbours; a later attempt of the same invoice is decided anew.
    """
    rails, circuits = rails_of(settings()), await store.select_circuits(tx)
    selector = await _selector(tx, requests)
    having, decided = await store.select_provided(tx, [r.issuing for r in requests])
    decisions: list[tuple[WalletRequest, Decision]] = []
    for request in requests:
        asked = request.issuing
        attempt = (asked.tenant_id, asked.invoice_id, asked.attempt)
        if attempt[:2] in having or attempt in decided:
            continue
        decision = domain.decide(asked, rails, circuits, selector, now=tx.now)
        decided.add(attempt)
        if decision.failure is None:
            having.add(attempt[:2])
        decisions.append((request, decision))
    await _carry_out(tx, decisions)
    payers = [
        (made.request.tenant_id, made.request.customer_id, made.request.invoice_id)
        for _, made in decisions
        if made.request.customer_id is not None
    ]
    if payers:
        await note_payers(tx, payers)


async def _carry_out(tx: Tx, decisions: Sequence[tuple[WalletRequest, Decision]]) -> None:
    served = [(request, made) for request, made in decisions if made.failure is None]
    wallets = await _make_wallets(tx, [made for _, made in served])
    new = await store.insert_wallets(tx, wallets) if wallets else set()
    kept = [wallet for wallet in wallets if wallet.id in new]
    failed = [(request, made, tx.new_id()) for request, made in decisions if made.failure]
    stored = [(wallet.id, wallet.decision) for wallet in kept]
    stored += [(attempt_id, made) for _, made, attempt_id in failed]
    fresh = await store.insert_decisions(tx, stored, tx.now) if stored else set()
    if kept:
        await store.insert_addresses(tx, kept)
        await store.insert_secrets(tx, kept)
    await log_decisions(tx, [(wallet_id, made) for wallet_id, made in stored if wallet_id in fresh])
    cause_of = {made.request.invoice_id: request.cause for request, made in served}
    facts: list[tuple[Event, UUID | None]] = [
        (fact, cause_of[wallet.decision.request.invoice_id])
        for wallet in kept
        for fact in domain.ready_facts(wallet)
    ]
    facts += [
        (domain.failed_fact(made, attempt_id), request.cause)
        for request, made, attempt_id in failed
        if attempt_id in fresh
    ]
    tx.stage(facts)


async def _selector(tx: Tx, requests: Sequence[WalletRequest]) -> Selector:
    """The model this process has loaded before, whom it is switched off for, and policies."""
    tenants = {r.issuing.tenant_id for r in requests}
    stopped = await select_stopped(tx, tenants)
    return Selector(
        model=model_in_use(),
        stopped=stopped - {PLATFORM},
        stopped_for_all=PLATFORM in stopped,
        small_amounts=settings().small_amounts,
        policies=await select_policies(tx, tenants),
    )


async def _make_wallets(tx: Tx, decisions: Sequence[Decision]) -> list[Wallet]:
    """Take the places of each rail at once, and make the wallets: arithmetic, no call to anyone."""
    by_rail: dict[str, list[Decision]] = {}
    for decision in decisions:
        assert decision.rail is not None
        by_rail.setdefault(decision.rail.name, []).append(decision)
    wallets: list[Wallet] = []
    for name in sorted(by_rail):
        group = by_rail[name]
        rail = group[0].rail
        assert rail is not None
        places = await store.take_places(tx, rail, len(group))
        wallets += [
            domain.make_wallet(decision, place, tx.new_id(), os.urandom(48), now=tx.now)
            for decision, place in zip(group, places, strict=True)
        ]
    return wallets
