"""Proofs of what is owed: roots for everybody, leaves and paths for whoever holds them."""

from uuid import UUID

from pydantic import AwareDatetime

from invoiceos_contracts.base import Shape
from messaging import Tx
from reserve_ledger.domain.liabilities import NODE
from reserve_ledger.errors import ProofNotFound
from reserve_ledger.settings import signer


class ProofView(Shape):
    """A published root."""

    id: UUID
    asset: str
    statement_sequence: int
    """The reserve statement as of which it is."""
    leaf_count: int
    """A power of two: leaves that are owed nothing hide how many holders there are."""
    total_minor: int
    """The sum of all leaves: what circulates by that statement."""
    root: str
    proved_at: AwareDatetime
    signature: str
    key_id: str
    public_key: str | None


class PathStep(Shape):
    """The node beside the way up."""

    hash: str
    sum_minor: int


class LeafView(Shape):
    """What the caller is owed, and the way from it to the root."""

    holder: str
    account: str
    invoice_id: UUID | None
    balance_minor: int
    salt: str
    place: int
    path: tuple[PathStep, ...]


_PROOF = """id, asset, statement_sequence, leaf_count, total_minor::bigint,
    encode(root, 'hex') as root, proved_at, signature, key_id"""


async def proofs(
    tx: Tx, *, proof_id: UUID | None = None, before: UUID | None = None, limit: int
) -> list[ProofView]:
    """Roots, the newest first."""
    rows = await tx.fetch(
        f"""
        select {_PROOF} from liability_proof
        where ($1::uuid is null or id = $1) and ($2::uuid is null or id < $2)
        order by id desc limit $3
        """,
        proof_id,
        before,
        limit,
    )
    current = signer()
    keys = {current.key_id: current.public_key}
    return [ProofView(**row, public_key=keys.get(row["key_id"])) for row in rows]


async def proof(tx: Tx, proof_id: UUID) -> ProofView:
    """One; raises `ProofNotFound`."""
    found = await proofs(tx, proof_id=proof_id, limit=1)
    if not found:
        raise ProofNotFound
    return found[0]


async def leaves(
    tx: Tx, tenant_id: UUID, proof_id: UUID, *, invoice_id: UUID | None, after: int, limit: int
) -> list[LeafView]:
    """The tenant's leaves with their paths, cut out of the kept tree in one query."""
    rows = await tx.fetch(
        f"""
        select l.holder, l.account, l.invoice_id, l.balance_minor, encode(l.salt, 'hex') as salt,
               l.place, (
                select array_agg(substring(
                           v.nodes from (((l.place >> v.level) # 1) * {NODE} + 1) for {NODE})
                       order by v.level)
                from liability_level v
                where v.proof_id = l.proof_id and octet_length(v.nodes) > {NODE}) as path
        from liability_leaf l
        where l.tenant_id = $1 and l.proof_id = $2 and l.place > $3
          and ($4::uuid is null or l.invoice_id = $4)
        order by l.place limit $5
        """,
        tenant_id,
        proof_id,
        after,
        invoice_id,
        limit,
    )
    return [
        LeafView(**{**row, "path": tuple(_step(node) for node in row["path"] or ())})
        for row in rows
    ]


def _step(node: bytes) -> PathStep:
    return PathStep(hash=node[:32].hex(), sum_minor=int.from_bytes(node[32:], "big"))
