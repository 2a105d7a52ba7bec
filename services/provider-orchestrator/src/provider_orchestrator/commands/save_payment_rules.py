"""Payment rules: versions of them, and which one counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messaging import Refusal, Tx
from provider_orchestrator.domain.payment_rules import PaymentRules
from provider_orchestrator.errors import PaymentRulesNotFound
from provider_orchestrator.store import payment_rules as store
from provider_orchestrator.store.payment_rules import RulesActivation, RulesVersion


@dataclass(frozen=True, slots=True)
class NewPaymentRules:
    """Somebody wrote rules."""

    tenant_id: UUID
    rules: PaymentRules
    note: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class ActivatePaymentRules:
    """Somebody wants a version to count."""

    tenant_id: UUID
    version: int
    actor: str


async def save_payment_rules(tx: Tx, requests: Sequence[NewPaymentRules]) -> list[RulesVersion]:
    """Number each, in the order in which they came; none of them counts yet."""
    following = await store.take_versions(tx, Counter(request.tenant_id for request in requests))
    versions = []
    for request in requests:
        number = following[request.tenant_id]
        following[request.tenant_id] = number + 1
        versions.append(
            RulesVersion(request.tenant_id, number, request.rules, request.note, request.actor)
        )
    await store.insert_versions(tx, versions)
    return versions


async def activate_payment_rules(
    tx: Tx, requests: Sequence[ActivatePaymentRules]
) -> list[RulesActivation | Refusal]:
    """Let each version count for payments begun from now on; one that does is left alone."""
    heads = await store.lock_heads(tx, [request.tenant_id for request in requests])
    answers: list[RulesActivation | Refusal] = []
    news: list[RulesActivation] = []
    for request in requests:
        versions, active = heads.get(request.tenant_id, (0, None))
        if not 1 <= request.version <= versions:
            answers.append(PaymentRulesNotFound())
            continue
        made = RulesActivation(request.tenant_id, request.version, active, request.actor)
        if active != request.version:
            news.append(made)
            heads[request.tenant_id] = (versions, request.version)
        answers.append(made)
    if news:
        await store.activate(tx, news)
    return answers
