"""After a restore: an address that was given once is never given again."""

from collections.abc import Sequence

from messaging import Tx
from messaging.operations.restore import Sent

MARGIN = 100_000
"""Tags skipped besides, for wallets of which no fact had left yet; there are 2^48 of them."""


async def skip_used_tags(tx: Tx, forgotten: Sequence[Sent]) -> None:
    """Move every counter past the tags that wallets the database forgot may have used."""
    await tx.execute("update tempo_master set next_tag = next_tag + $1", MARGIN + len(forgotten))
    await tx.execute(
        "update create2_factory set next_place = next_place + $1", MARGIN + len(forgotten)
    )
