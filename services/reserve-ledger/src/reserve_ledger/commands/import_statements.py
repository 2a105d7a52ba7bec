"""What the other side lists is kept as it came, once, under the hash of its content."""

import hashlib
from collections.abc import Sequence

from invoiceos_contracts.provider_v1 import ProviderStatementLinesObserved
from messaging import Received, Tx
from reserve_ledger.store import statements as store
from reserve_ledger.store.statements import Statement

KINDS = {"tempo": "chain", "evm": "chain"}
"""What kind of source a name begins with; others are providers."""


async def import_pages(tx: Tx, events: Sequence[Received[ProviderStatementLinesObserved]]) -> None:
    """Keep pages of statements that provider-orchestrator read."""
    for event in events:
        fact = event.fact
        body = fact.model_dump_json(include={"source", "asset", "statement", "page", "lines"})
        statement = Statement(
            id=event.id,
            source=fact.source,
            kind=KINDS.get(fact.source.partition(":")[0], "provider"),
            asset=fact.asset,
            name=f"{fact.statement} page {fact.page}",
            format="event",
            content_hash=hashlib.sha256(body.encode()).digest(),
            starts_at=fact.starts_at,
            ends_at=fact.ends_at,
            opening_minor=fact.opening_minor if fact.page == 1 else None,
            closing_minor=fact.closing_minor if fact.last_page else None,
            lines=fact.lines,
            imported_by="provider-orchestrator",
        )
        await store.insert_statement(tx, statement)
