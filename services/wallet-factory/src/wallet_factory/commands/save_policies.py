"""A tenant says what it wants of its wallets; from the next one on it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messaging import Refusal, Tx
from wallet_factory.domain.configured import rails_of
from wallet_factory.domain.policy import WalletPolicy
from wallet_factory.errors import RailNotOffered
from wallet_factory.settings import settings
from wallet_factory.store import policies as store


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """Somebody wrote a policy."""

    tenant_id: UUID
    policy: WalletPolicy
    note: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """A policy under its number."""

    version: int
    asked: NewPolicy
    at: datetime


async def save_policies(tx: Tx, asked: Sequence[NewPolicy]) -> list[SavedPolicy | Refusal]:
    """Number each, in the order in which they came; a rail that nobody offers is refused."""
    offered = {rail.name for rail in rails_of(settings())}
    following = await store.lock_versions(tx, {item.tenant_id for item in asked})
    answers: list[SavedPolicy | Refusal] = []
    for item in asked:
        unknown = [name for name in item.policy.rails if name not in offered]
        if unknown:
            answers.append(
                RailNotOffered(f"there is no rail {unknown}; there is {sorted(offered)}")
            )
            continue
        following[item.tenant_id] += 1
        answers.append(SavedPolicy(following[item.tenant_id], item, tx.now))
    saved = [answer for answer in answers if isinstance(answer, SavedPolicy)]
    await store.insert_policies(
        tx,
        [
            (one.asked.tenant_id, one.version, one.asked.policy, one.asked.note, one.asked.actor)
            for one in saved
        ],
    )
    return answers
