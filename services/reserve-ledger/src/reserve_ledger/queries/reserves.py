"""Reserve statements: the platform's public promise, the same for every tenant."""

from pydantic import AwareDatetime

from invoiceos_contracts.base import Shape
from invoiceos_contracts.ledger_v1 import ReservePosition
from messaging import Tx
from reserve_ledger.errors import ReserveNotStated
from reserve_ledger.settings import signer


class ReserveStatementView(Shape):
    """A statement as it was signed."""

    sequence: int
    positions: tuple[ReservePosition, ...]
    covered: bool
    ledger_head: str
    previous_hash: str
    signature: str
    """Ed25519 over SHA-256 of `ledger_head` and the canonical positions; base64."""
    key_id: str
    public_key: str | None
    """Ed25519 key of that name, base64; null where it has been replaced since."""
    stated_at: AwareDatetime


async def latest_statement(tx: Tx) -> ReserveStatementView:
    """The last reserve statement; raises `ReserveNotStated`."""
    found = await reserve_statements(tx, before=2**63 - 1, limit=0)
    if not found:
        raise ReserveNotStated
    return found[0]


async def reserve_statements(tx: Tx, *, before: int, limit: int) -> list[ReserveStatementView]:
    """Statements of the platform, newest first, `limit` and one more."""
    rows = await tx.fetch(
        """
        select sequence, positions, covered, encode(ledger_head, 'hex') as ledger_head,
               encode(previous_hash, 'hex') as previous_hash, signature, key_id, stated_at
        from reserve_statement where sequence < $1 order by sequence desc limit $2
        """,
        before,
        limit + 1,
    )
    current = signer()
    keys = {current.key_id: current.public_key}
    return [ReserveStatementView(**row, public_key=keys.get(row["key_id"])) for row in rows]
