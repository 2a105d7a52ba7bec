"""What really happened at the providers against what we booked."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.provider_proof.core import Core
from tests.provider_proof.stand import Stand

from provider_orchestrator.commands.resolve_unknown import Resolve, resolve_unknown
from provider_sandbox.core.truth import summary

_ATTEMPTS = """
    select a.id, a.key, a.kind, a.state, a.provider_reference, s.invoice_id, i.state as intent,
        a.state = 'unknown' and a.unknown_since <= $2::timestamptz - interval '24 hours' as queued,
        coalesce((select sum(p.amount_minor) from payment as p
                  where p.tenant_id = a.tenant_id and p.attempt_id = a.id), 0)::bigint as booked
    from payment_attempt as a
    join payment_intent as i on i.tenant_id = a.tenant_id and i.id = a.intent_id
    join payment_share as s on s.tenant_id = a.tenant_id and s.intent_id = a.intent_id
    where a.tenant_id = $1
"""
_INTENTS = """
    select i.id, i.state, bool_or(coalesce(a.state = 'unknown'
        and a.unknown_since <= $2::timestamptz - interval '24 hours', false)) as queued
    from payment_intent as i left join payment_attempt as a
        on a.tenant_id = i.tenant_id and a.intent_id = i.id
    where i.tenant_id = $1 group by i.tenant_id, i.id
"""
_TRIED = """
    select string_agg(concat_ws(' ', provider, kind, number, state, status, outcome, cause), '; '
        order by created_at) from payment_attempt where tenant_id = $1 and intent_id = $2
"""
ENDS = ("succeeded", "partially_captured", "conflicted", "failed", "voided", "canceled", "expired")


@dataclass(slots=True)
class Verdict:
    """Of one world, or of all of them together."""

    payments: int = 0
    captured: int = 0
    late: int = 0
    queued: int = 0
    deaths: int = 0
    states: Counter[str] = field(default_factory=Counter)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    webhooks: int = 0
    attempts: Counter[int] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Put another world to it."""
        for name in ("payments", "captured", "late", "queued", "deaths"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.states += other.states
        self.met += other.met
        self.attempts += other.attempts
        self.breaches += other.breaches


async def judged(core: Core, stand: Stand, tenant_id: UUID) -> Verdict:
    """Compare, have a person decide what is queued for one, and compare again."""
    worker = core.unit.worker
    facts = stand.world.store.facts()
    intents = await worker.fetch(_INTENTS, tenant_id, stand.now())
    found = Verdict(
        payments=len(intents),
        queued=sum(one["queued"] for one in intents),
        states=Counter(one["state"] for one in intents),
        met=stand.met,
        deaths=core.deaths,
    )
    for one in intents:
        if one["state"] not in ENDS and not one["queued"]:
            tried = await worker.fetchval(_TRIED, tenant_id, one["id"])
            found.breaches.append(f"unresolved: intent {one['id']} is {one['state']}: {tried}")
    await _decided(core, stand, tenant_id, facts)
    rows = await worker.fetch(_ATTEMPTS, tenant_id, stand.now())
    found.breaches += _doubled(facts, rows) + _differing(facts, rows)
    found.captured = sum(fact["kind"] == "captured" for fact in facts)
    collects = Counter(row["invoice_id"] for row in rows if row["kind"] == "collect")
    found.attempts = Counter(collects.values())
    return found


def _sums(facts: list[dict[str, Any]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for fact in facts:
        if fact["kind"] == "captured":
            sums[fact["reference"]] += fact["amount_minor"]
    return sums


async def _decided(core: Core, stand: Stand, tenant_id: UUID, facts: list[dict[str, Any]]) -> None:
    """A person who sees the provider's own books says what became of what is queued."""
    sums = _sums(facts)
    rows = await core.unit.worker.fetch(_ATTEMPTS, tenant_id, stand.now())
    for row in rows:
        if not row["queued"]:
            continue
        taken = sums[str(row["id"])] + sums[str(row["key"])]
        said = Resolve(tenant_id, row["id"], taken > 0, taken or None, None, "seen there", "ann")
        await core.unit.command(resolve_unknown, said)


def _doubled(facts: list[dict[str, Any]], rows: list[Any]) -> list[str]:
    """One attempt captured twice, or two attempts of one invoice."""
    found = [f"double capture: {name}" for name in summary(facts)["double_captures"]]
    sums = _sums(facts)
    invoices: dict[UUID, set[UUID]] = {}
    for row in rows:
        if sums[str(row["id"])] + sums[str(row["key"])] > 0 and row["kind"] == "collect":
            invoices.setdefault(row["invoice_id"], set()).add(row["id"])
    return found + [
        f"double capture: invoice {invoice} by attempts {sorted(map(str, attempts))}"
        for invoice, attempts in invoices.items()
        if len(attempts) > 1
    ]


def _differing(facts: list[dict[str, Any]], rows: list[Any]) -> list[str]:
    """What was captured and not booked, and the other way round."""
    sums, found = _sums(facts), []
    known: set[str] = set()
    for row in rows:
        if row["kind"] != "collect":
            continue
        known |= {str(row["id"]), str(row["key"])}
        really = sums[str(row["id"])] + sums[str(row["key"])]
        if really == row["booked"]:
            continue
        what = "lost capture" if row["booked"] < really else "phantom capture"
        found.append(
            f"{what}: attempt {row['id']} ({row['state']}, intent {row['intent']})"
            f" captured {really}, booked {row['booked']}"
        )
    return found + [f"capture of nobody's: {name}" for name in sums.keys() - known]
