"""The head of each ledger is signed and told to the world once an hour."""

from datetime import UTC, datetime, timedelta

from chassis.evidence import Signer, canonical, digest
from invoiceos_contracts.ledger_v1 import LedgerHeadPublished
from messaging import Tx
from reserve_ledger.settings import signer
from reserve_ledger.store import heads as store
from reserve_ledger.store.heads import Due

AT_ONCE = 500


async def publish_heads(tx: Tx, every: timedelta) -> int:
    """Tell of ledgers that went on and were not told of for so long; how many there were."""
    due = await store.select_due(tx, every, AT_ONCE)
    if not due:
        return 0
    key = signer()
    signatures = {one.tenant_id: key.sign(signed_hash(one, tx.now)) for one in due}
    ours = await store.insert_heads(
        tx, due, [signatures[one.tenant_id] for one in due], key.key_id, tx.now
    )
    tx.stage(
        _told(one, signatures[one.tenant_id], key, tx.now) for one in due if one.tenant_id in ours
    )
    return len(ours)


def signed_hash(head: Due, at: datetime) -> str:
    """What the signature is over."""
    plain: dict[str, object] = {
        "ledger_id": str(head.tenant_id),
        "sequence": head.sequence,
        "hash": head.hash,
        "published_at": at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    return digest(canonical(plain))


def _told(head: Due, signature: str, key: Signer, at: datetime) -> LedgerHeadPublished:
    return LedgerHeadPublished(
        tenant_id=head.tenant_id,
        ledger_id=head.tenant_id,
        sequence=head.sequence,
        hash=head.hash,
        published_at=at,
        signature=signature,
        key_id=key.key_id,
    )
