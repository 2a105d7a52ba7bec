"""Loops that talk to the outside: look outside a transaction, record inside one."""

from collections.abc import Awaitable, Callable

from chassis.runtime import Runtime
from provider_orchestrator.workers.chain import (
    ChainWatch,
    HealthRecorder,
    Looked,
    Step,
    answer_open_requests,
    look,
    measure_unmatched,
    observe_balances,
    watch_tempo,
)
from provider_orchestrator.workers.disbursing import disburse
from provider_orchestrator.workers.payments import collect_payments, probe_providers
from provider_orchestrator.workers.reserves import observe_reserves
from provider_orchestrator.workers.routing import forget_previews

WORKERS: tuple[Callable[[Runtime], Awaitable[None]], ...] = (
    watch_tempo,
    observe_balances,
    measure_unmatched,
    observe_reserves,
    forget_previews,
    disburse,
    collect_payments,
    probe_providers,
)

__all__ = [
    "WORKERS",
    "ChainWatch",
    "HealthRecorder",
    "Looked",
    "Step",
    "answer_open_requests",
    "look",
    "measure_unmatched",
    "observe_balances",
    "observe_reserves",
    "watch_tempo",
]
