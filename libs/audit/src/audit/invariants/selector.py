"""The mode selector: its log is whole and unchanged, and its model learned each label once."""

from collections.abc import Iterable, Iterator
from typing import Final

from audit.invariant import Invariant, Row
from chassis.evidence import GENESIS, canonical, digest


def broken_chains(rows: Iterable[Row]) -> Iterator[Row]:
    """Entries whose place, hash or link is not what it should be; rows in their order."""
    heads: dict[str, tuple[int, str]] = {}
    for row in rows:
        tenant = str(row["tenant_id"])
        sequence, previous = heads.get(tenant, (0, GENESIS))
        said = canonical(
            {"wallet_id": str(row["wallet_id"]), "kind": row["kind"], "body": row["body"]}
        )
        hashed = digest(said, str(sequence + 1).encode(), previous.encode())
        if (row["sequence"], row["hash"], row["previous_hash"]) != (sequence + 1, hashed, previous):
            yield {"tenant_id": tenant, "sequence": row["sequence"], "expected": hashed}
        heads[tenant] = (row["sequence"], row["hash"])


SELECTOR: Final = (
    Invariant(
        "selector.log_chained",
        "Each entry of a tenant's log of mode decisions has the next number, the hash of what it "
        "says, and the hash of the one before.",
        """
        select tenant_id, sequence, wallet_id, kind, body, hash, previous_hash
        from wallet_factory.selector_log order by tenant_id, sequence
        """,
        judge=broken_chains,
    ),
    Invariant(
        "selector.log_heads_agree",
        "The head kept of each log is its last entry.",
        """
        select tenant_id, h.sequence, l.sequence as last
        from wallet_factory.selector_log_head h
        full join (select distinct on (tenant_id) tenant_id, sequence, hash
                   from wallet_factory.selector_log order by tenant_id, sequence desc) l
            using (tenant_id)
        where (h.sequence, h.hash) is distinct from (l.sequence, l.hash)
        """,
    ),
    Invariant(
        "selector.labels_learned_once",
        "Labels that were learned are numbered without a gap, up to what the model has learned.",
        """
        select l.labels, l.highest, m.labels as learned
        from (select count(number) as labels, coalesce(max(number), 0) as highest
              from wallet_factory.selector_label) l
        cross join (select coalesce(max(labels), 0) as labels
                    from wallet_factory.selector_model) m
        where l.labels <> l.highest or l.highest <> m.labels
        """,
    ),
)
