"""Loops that talk to the outside: look outside a transaction, record inside one."""

from collections.abc import Awaitable, Callable

from chassis.runtime import Runtime
from provider_orchestrator.workers.chain import (
    ChainWatch,
    Looked,
    Step,
    answer_open_requests,
    look,
    measure_unmatched,
    observe_balances,
    watch_chain,
    watch_chains,
)
from provider_orchestrator.workers.disbursing import disburse
from provider_orchestrator.workers.health import HealthRecorder
from provider_orchestrator.workers.payments import collect_payments, probe_providers
from provider_orchestrator.workers.provider_payouts import follow_provider_payouts
from provider_orchestrator.workers.reserves import observe_reserves
from provider_orchestrator.workers.routing import forget_previews
from provider_orchestrator.workers.settling import settle_payments
from provider_orchestrator.workers.sweeps import Sweeper, Swept, sweep_deposits

WORKERS: tuple[Callable[[Runtime], Awaitable[None]], ...] = (
    watch_chains,
    observe_balances,
    measure_unmatched,
    observe_reserves,
    sweep_deposits,
    forget_previews,
    disburse,
    collect_payments,
    probe_providers,
    settle_payments,
    follow_provider_payouts,
)

__all__ = [
    "WORKERS",
    "ChainWatch",
    "HealthRecorder",
    "Looked",
    "Step",
    "Sweeper",
    "Swept",
    "answer_open_requests",
    "look",
    "measure_unmatched",
    "observe_balances",
    "observe_reserves",
    "sweep_deposits",
    "watch_chain",
    "watch_chains",
]
