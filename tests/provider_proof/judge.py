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
_GONE = """
    select d.id, d.key, d.kind, d.state, d.amount_minor, d.cause, p.attempt_id,
        a.key as attempt_key, d.state = 'unknown'
            and d.unknown_since <= $2::timestamptz - interval '24 hours' as queued
    from disbursement as d
    left join payment as p on p.tenant_id = d.tenant_id and p.id = d.payment_id
    left join payment_attempt as a on a.tenant_id = p.tenant_id and a.id = p.attempt_id
    where d.tenant_id = $1
"""
GONE_ENDS = ("succeeded", "failed", "canceled")
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
    gone: Counter[str] = field(default_factory=Counter)
    """Refunds and payouts by how they ended."""
    mischief: Counter[str] = field(default_factory=Counter)
    sent_back: int = 0
    """Attempts whose refund was done, and undone by the payer's bank days later."""
    breaches: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        """Put another world to it."""
        for name in ("payments", "captured", "late", "queued", "deaths", "sent_back"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.states += other.states
        self.met += other.met
        self.attempts += other.attempts
        self.gone += other.gone
        self.mischief += other.mischief
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
        mischief=stand.mischief,
    )
    if stand.mischief["believed"]:
        found.breaches.append(f"forged: {stand.mischief['believed']} webhooks were believed")
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
    gone = await worker.fetch(_GONE, tenant_id, stand.now())
    found.gone = Counter(f"{row['kind']}s {row['state']}" for row in gone)
    found.queued += sum(row["queued"] for row in gone)
    found.breaches += _unended(gone) + _wrong_payouts(facts, gone)
    refunds, found.sent_back = _wrong_refunds(facts, gone)
    found.breaches += refunds
    return found


def _unended(gone: list[Any]) -> list[str]:
    return [
        f"unresolved: {row['kind']} {row['id']} is {row['state']} ({row['cause']})"
        for row in gone
        if row["state"] not in GONE_ENDS and not row["queued"]
    ]


def _wrong_refunds(facts: list[dict[str, Any]], gone: list[Any]) -> tuple[list[str], int]:
    """What providers gave back of each payment against what we say was given back of it.

    Where a bank sends a refund back after it was done, the provider's sum falls below ours again.
    """
    told, returned, times = _told(facts, "refunded"), _told(facts, "returned"), Counter[str]()
    times.update(fact["reference"] for fact in facts if fact["kind"] == "refunded")
    attempts: dict[tuple[str, str], list[Any]] = {}
    for row in gone:
        if row["kind"] == "refund":
            names = (str(row["attempt_id"]), str(row["attempt_key"]))
            attempts.setdefault(names, []).append(row)
    breaches, sent_back = [], 0
    for names, rows in attempts.items():
        sure = sum(row["amount_minor"] for row in rows if row["state"] == "succeeded")
        doubt = sum(row["amount_minor"] for row in rows if row["queued"])
        gross = sum(told[name] for name in names)
        net = gross - sum(returned[name] for name in names)
        sent_back += net < sure <= gross
        if net > sure + doubt:
            done = sum(row["state"] == "succeeded" or row["queued"] for row in rows)
            how = "double" if sum(times[name] for name in names) > done else "lost"
            breaches.append(f"{how} refund: of attempt {names[0]} {net}, and we say {sure}")
        elif gross < sure:
            breaches.append(f"phantom refund: of attempt {names[0]} {gross}, and we say {sure}")
    known = {name for names in attempts for name in names}
    strays = {fact["reference"] for fact in facts if fact["kind"] == "refunded"} - known
    return [*breaches, *(f"double refund: of nobody's {name}" for name in strays)], sent_back


def _wrong_payouts(facts: list[dict[str, Any]], gone: list[Any]) -> list[str]:
    """Each payout as its receiver saw it against what we say of it."""
    paid, moved, back = (_told(facts, kind) for kind in ("paid_out", "transferred", "returned"))
    counted = summary(facts)
    breaches = [
        f"double payout: {name}" for name in counted["double_payouts"] + counted["double_transfers"]
    ]
    for row in gone:
        if row["kind"] != "payout":
            continue
        names = (str(row["id"]), str(row["key"]))
        really = sum(paid[name] + moved[name] - back[name] for name in names)
        ours = row["amount_minor"] if row["state"] == "succeeded" else 0
        if really > row["amount_minor"]:
            breaches.append(f"double payout: {row['id']} was paid {really}")
        elif really > ours and not row["queued"]:
            breaches.append(f"lost payout: {row['id']} is {row['state']}, and was paid {really}")
        elif really < ours:
            breaches.append(f"phantom payout: {row['id']} was paid {really}")
    return breaches


def _told(facts: list[dict[str, Any]], kind: str) -> Counter[str]:
    """What happened by reference, in minor units."""
    sums: Counter[str] = Counter()
    for fact in facts:
        if fact["kind"] == kind:
            sums[fact["reference"]] += fact["amount_minor"]
    return sums


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
