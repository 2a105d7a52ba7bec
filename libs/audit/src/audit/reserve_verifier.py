"""Reserve statements, proved from the topic alone.

Stands apart on purpose: it imports the contracts and `cryptography`, nothing of the ledger, so a
mistake there is not repeated here. Whoever may read `invoiceos.ledger.v1` can run it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel

from invoiceos_contracts.base import Event
from invoiceos_contracts.ledger_v1 import ReserveComparison, ReserveStated, TransactionPosted

PLAIN = frozenset(
    {
        *("invoice_paid", "invoice_overpaid", "payment_unapplied", "payment_conflicted"),
        "deposit_received",
    }
)
"""Templates whose transactions say everything that is hashed in their event."""
_CLASSES = {"1": "reserve", "2": "circulation", "4": "own", "5": "own"}
Totals = dict[tuple[str, str], int]
"""By account and asset, minor units."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that is not what it should be."""

    sequence: int
    what: str


@dataclass(slots=True)
class ReserveVerifier:
    """Takes the facts of the ledger's topic in any order; then says what is wrong."""

    public_key: str | None = None
    """Ed25519 key of the statements, base64; without it signatures are not checked."""
    statements: dict[int, ReserveStated] = field(default_factory=dict)
    transactions: dict[tuple[UUID, int], TransactionPosted] = field(default_factory=dict)
    contradictions: list[Finding] = field(default_factory=list)
    recomputed: int = 0
    """Transactions whose hash was made again."""

    def take(self, fact: Event) -> None:
        """Keep what matters; the same fact again changes nothing, another in its place does."""
        if isinstance(fact, ReserveStated):
            before = self.statements.setdefault(fact.sequence, fact)
            if before != fact:
                self.contradictions.append(Finding(fact.sequence, "stated twice, differently"))
        elif isinstance(fact, TransactionPosted):
            self.transactions.setdefault((fact.tenant_id, fact.sequence), fact)

    def findings(self) -> list[Finding]:
        """Everything that is wrong, in the order of the statements."""
        found = list(self.contradictions)
        walk = _Walk(self)
        for sequence in sorted(self.statements):
            stated = self.statements[sequence]
            found += [Finding(sequence, what) for what in walk.follow(stated)]
        self.recomputed = walk.recomputed
        return sorted(found, key=lambda each: each.sequence)


class _Walk:
    """Goes from statement to statement, and knows what each must say by the one before."""

    def __init__(self, given: ReserveVerifier) -> None:
        self._given = given
        self._before: ReserveStated | None = None
        self._heads: dict[UUID, tuple[int, str]] = {}
        self._totals: Totals | None = None
        self.recomputed = 0

    def follow(self, stated: ReserveStated) -> Iterator[str]:
        yield from self._placed(stated)
        yield from self._signed(stated)
        yield from _consistent(stated)
        if stated.ledgers or self._totals is not None:
            yield from self._explained(stated)
        self._before = stated

    def _placed(self, stated: ReserveStated) -> Iterator[str]:
        before = self._before
        if before is None:
            if stated.sequence == 1:
                self._totals = {}
            return
        if stated.sequence != before.sequence + 1:
            yield f"follows {before.sequence}: statements between are missing"
            self._totals = None
            return
        if stated.previous_hash != before.ledger_head:
            yield "is not chained to the statement before"

    def _signed(self, stated: ReserveStated) -> Iterator[str]:
        heads: list[object] = [[str(h.tenant_id), h.hash] for h in stated.ledgers]
        if stated.observed_signature is not None:
            made = _digest(bytes.fromhex(stated.previous_hash), _canonical(heads))
            if made != stated.ledger_head:
                yield "ledger_head is not made of the heads it names"
        if self._given.public_key is None:
            return
        head = bytes.fromhex(stated.ledger_head)
        plain = _digest(head, _canonical(_plain(stated.positions)))
        if not _verified(self._given.public_key, plain, stated.signature):
            yield "the signature over its positions is wrong"
        parts = [
            _canonical(_plain(s)) for s in (stated.ledgers, stated.observed, stated.comparisons)
        ]
        if stated.observed_signature is not None and not _verified(
            self._given.public_key, _digest(head, *parts), stated.observed_signature
        ):
            yield "the signature over what was observed is wrong"

    def _explained(self, stated: ReserveStated) -> Iterator[str]:
        """What it says of the book is what the one before said, and the transactions between."""
        known = self._totals is not None
        totals: Totals = dict(self._totals or {})
        for head in stated.ledgers:
            at, hashed = self._heads.get(head.tenant_id, (0, "0" * 64))
            for sequence in range(at + 1, head.sequence + 1):
                posted = self._given.transactions.get((head.tenant_id, sequence))
                if posted is None:
                    known = False
                    if at or stated.sequence == 1:
                        yield f"transaction {sequence} of {head.tenant_id} is not on the topic"
                    break
                yield from self._linked(posted, hashed)
                hashed = posted.hash
                for leg in posted.postings:
                    key = (leg.account, leg.amount.asset)
                    totals[key] = totals.get(key, 0) + leg.amount.amount_minor
            else:
                if hashed != head.hash:
                    yield f"the head of {head.tenant_id} is not its transaction {head.sequence}"
            self._heads[head.tenant_id] = (head.sequence, head.hash)
        if known:
            yield from _as_summed(stated, totals)
        self._totals = _stated_totals(stated, totals if known else {})

    def _linked(self, posted: TransactionPosted, hashed: str) -> Iterator[str]:
        name = f"transaction {posted.sequence} of {posted.tenant_id}"
        if posted.previous_hash != hashed:
            yield f"{name} is not chained to the one before"
        sums: dict[str, int] = {}
        for leg in posted.postings:
            sums[leg.amount.asset] = sums.get(leg.amount.asset, 0) + leg.amount.amount_minor
        if any(sums.values()):
            yield f"{name} does not sum to zero"
        if posted.template.partition(".")[0] in PLAIN and posted.payment_id is not None:
            self.recomputed += 1
            if _hash_of(posted) != posted.hash:
                yield f"{name} is not what was hashed"


def _stated_totals(stated: ReserveStated, totals: Totals) -> Totals:
    """Go on from what was stated, so that one wrong statement is one finding."""
    kept = {key: minor for key, minor in totals.items() if not key[0].startswith("1")}
    for position in stated.positions:
        for leg in position.reserve:
            key = (leg.account, leg.amount.asset)
            kept[key] = kept.get(key, 0) + leg.amount.amount_minor
    return kept


def _as_summed(stated: ReserveStated, totals: Totals) -> Iterator[str]:
    """Whether each position is the sum of the postings."""
    summed: dict[tuple[str, str], int] = {}
    for (account, asset), minor in totals.items():
        side = _CLASSES.get(account[:1])
        if side is not None:
            sign = 1 if side == "reserve" else -1
            summed[side, asset] = summed.get((side, asset), 0) + sign * minor
    for position in stated.positions:
        for side, said in (
            ("reserve", position.reserve_minor),
            ("circulation", position.circulation_minor),
            ("own", position.own_funds_minor),
        ):
            made = summed.pop((side, position.asset), 0)
            if made != said:
                yield f"{side} of {position.asset} is {said}, its postings make {made}"
    for (side, asset), made in sorted(summed.items()):
        if made:
            yield f"{side} of {asset} is not stated, its postings make {made}"


def _consistent(stated: ReserveStated) -> Iterator[str]:
    """Whether it agrees with itself, and whether it states a breach."""
    for p in stated.positions:
        if sum(leg.amount.amount_minor for leg in p.reserve) != p.reserve_minor:
            yield f"the accounts of {p.asset} do not make its reserve"
        if p.reserve_minor - p.circulation_minor - p.own_funds_minor != p.difference_minor:
            yield f"the difference of {p.asset} is not what it says"
        if p.difference_minor:
            yield f"BREACH: the book of {p.asset} is off by {p.difference_minor}"
    if stated.covered != (not any(p.difference_minor for p in stated.positions)):
        yield "`covered` is not what the positions say"
    for compared in stated.comparisons:
        yield from _compared(stated, compared)


def _compared(stated: ReserveStated, compared: ReserveComparison) -> Iterator[str]:
    name = f"{compared.kind} {compared.asset}"
    found = [o for o in stated.observed if (o.kind, o.asset) == (compared.kind, compared.asset)]
    observed = sum(o.balance_minor + o.held_elsewhere_minor - o.opening_minor for o in found)
    if observed != compared.observed_minor:
        yield f"sources of {name} hold {observed}, it says {compared.observed_minor}"
    difference = observed - compared.book_minor - compared.in_transit_minor
    if difference != compared.difference_minor:
        yield f"the difference of {name} is {difference}, it says {compared.difference_minor}"
    judged = compared.kind in ("chain", "supply")
    breached = judged and not -compared.leaving_minor <= difference <= 0
    if breached != compared.breached:
        yield f"whether {name} is breached is not what it says"
    if breached:
        yield f"BREACH: {name} is off by {difference}"


def _hash_of(posted: TransactionPosted) -> str:
    plain = {
        "tenant_id": str(posted.tenant_id),
        "id": str(posted.transaction_id),
        "sequence": posted.sequence,
        "template": posted.template,
        "cause_event_id": str(posted.cause_event_id),
        "invoice_id": str(posted.invoice_id) if posted.invoice_id else None,
        "payment_id": str(posted.payment_id) if posted.payment_id else None,
        "reverses": None,
        "posted_at": posted.posted_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "postings": [
            [leg.account, leg.amount.asset, leg.amount.amount_minor] for leg in posted.postings
        ],
    }
    return _digest(bytes.fromhex(posted.previous_hash), _canonical(plain))


def _plain(shapes: Sequence[BaseModel]) -> list[object]:
    return [shape.model_dump(mode="json") for shape in shapes]


def _canonical(value: Any) -> bytes:
    """JSON, keys sorted, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(*parts: bytes) -> str:
    """SHA-256, each part preceded by its length in eight bytes."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()


def _verified(public_key: str, hash_hex: str, signature: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), bytes.fromhex(hash_hex))
    except (ValueError, InvalidSignature):
        return False
    return True
