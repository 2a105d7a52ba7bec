"""The journal of what operators did: written in the transaction that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from messaging.transaction import Tx


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something by hand, and why; neither may be empty."""

    actor: str
    reason: str


async def write(
    tx: Tx, act: Act, action: str, *, subject: str, count: int, details: Mapping[str, Any]
) -> None:
    """Add a row; it stands if, and only if, what it tells of is committed."""
    await tx.execute(
        """
        insert into operation (id, actor, action, reason, subject, count, details)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        tx.new_id(),
        act.actor,
        action,
        act.reason,
        subject,
        count,
        dict(details),
    )
