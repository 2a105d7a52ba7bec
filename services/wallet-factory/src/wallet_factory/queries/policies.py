"""What can be read of a tenant's policy."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from messaging import Tx
from wallet_factory.domain.configured import rails_of
from wallet_factory.domain.policy import PLATFORM_WAY, WalletPolicy
from wallet_factory.settings import settings
from wallet_factory.store.policies import select_newest


class PolicyView(BaseModel):
    """A tenant's policy."""

    version: int
    """0 where none was ever written."""
    policy: WalletPolicy
    note: str | None
    created_by: str | None
    created_at: datetime | None
    rails_offered: list[str]
    """The rails of the platform, in the platform's order."""


async def policy(tx: Tx, tenant_id: UUID) -> PolicyView:
    """What counts for a tenant now."""
    row = await select_newest(tx, tenant_id)
    return PolicyView(
        version=row["version"] if row else 0,
        policy=WalletPolicy.model_validate(row["document"]) if row else PLATFORM_WAY,
        note=row["note"] if row else None,
        created_by=row["created_by"] if row else None,
        created_at=row["created_at"] if row else None,
        rails_offered=rails_offered(),
    )


def rails_offered() -> list[str]:
    """Names of the rails of this process, in their order."""
    return [rail.name for rail in rails_of(settings())]
