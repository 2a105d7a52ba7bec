"""What is owed is proved once an hour: a root for the world, a path for each holder."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from chassis.evidence import Signer, canonical, digest
from invoiceos_contracts import PLATFORM
from invoiceos_contracts.ledger_v1 import ReserveLiabilitiesProved
from messaging import Tx
from reserve_ledger.domain.liabilities import SALT, Leaf, levels, padded_to
from reserve_ledger.domain.reserve import SERIES
from reserve_ledger.settings import signer
from reserve_ledger.store import proofs as store
from reserve_ledger.store.proofs import Owed, Proof


async def prove_liabilities(tx: Tx, every: timedelta) -> int:
    """Prove each asset as of the latest statement, if that is due; how many were proved.

    Leaves lie in an order that chance decides, so that a place tells nothing about its neighbours.
    """
    sequence = await store.due_since(tx, every)
    if sequence is None:
        return 0
    owed = await store.select_owed(tx)
    count = 0
    for asset, holders in groupby(owed, key=lambda one: one.asset):
        leaves = _leaves(list(holders))
        tree = levels(leaves, _padding(len(leaves)))
        proof = _proof(tx.new_id(), asset, sequence, tree, signer())
        await store.insert_proof(tx, proof, leaves, tree)
        tx.stage([_stated(proof)])
        count += 1
    return count


def _leaves(holders: list[Owed]) -> list[Leaf]:
    secrets.SystemRandom().shuffle(holders)
    return [
        Leaf(one.tenant_id, one.account, one.invoice_id, one.minor, secrets.token_bytes(SALT))
        for one in holders
    ]


def _padding(count: int) -> list[bytes]:
    return [secrets.token_bytes(SALT) for _ in range(padded_to(count) - count)]


def _proof(proof_id: UUID, asset: str, sequence: int, tree: Sequence[bytes], key: Signer) -> Proof:
    root = tree[-1]
    plain: dict[str, object] = {
        "asset": asset,
        "leaf_count": len(tree[0]) // len(root),
        "root": root[:32].hex(),
        "statement_sequence": sequence,
        "total_minor": int.from_bytes(root[32:], "big"),
    }
    signature = key.sign(digest(canonical(plain)))
    return Proof(
        id=proof_id,
        asset=asset,
        statement_sequence=sequence,
        leaf_count=len(tree[0]) // len(root),
        total_minor=int.from_bytes(root[32:], "big"),
        root=root[:32].hex(),
        signature=signature,
        key_id=key.key_id,
    )


def _stated(proof: Proof) -> ReserveLiabilitiesProved:
    return ReserveLiabilitiesProved(
        tenant_id=PLATFORM,
        statement_series_id=SERIES,
        sequence=proof.statement_sequence,
        proof_id=proof.id,
        asset=proof.asset,
        leaf_count=proof.leaf_count,
        total_minor=proof.total_minor,
        root=proof.root,
        signature=proof.signature,
        key_id=proof.key_id,
    )
