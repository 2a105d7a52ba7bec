"""One world after another, each with its own chance, until all payments are judged."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.provider_proof.core import core, databases
from tests.provider_proof.judge import Verdict, judged
from tests.provider_proof.people import People
from tests.provider_proof.stand import AMBIGUOUS, START, DatabaseClock, Stand

from provider_sandbox.core.faults import Plan
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest

JUMPS_S = (
    *(3, 8, 20, 50, 240, 240, 600, 900, 1800, 3600),
    *(3600,) * 8,
    *(4 * 3600, 26 * 3600),
)
"""Past the payer's hour, Circle's eight, and the day after which a person decides."""
LATE_S = (600, 1800)
"""After it money comes that nobody waits for any more."""
QUIET_S = (3600, 3600, 3600)
"""At last there are no faults: whatever is still asked after is answered now."""
BETWEEN_WORLDS_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is to be proved on."""

    payments: int
    seed: int
    each: int = 1000
    planted: str = ""
    jumps_s: tuple[int, ...] = JUMPS_S
    only: str = ""
    """The one provider there is."""


async def proof(
    place: ServiceDatabase,
    chosen: Chosen,
    tell: Callable[[str], None] = print,
    enough: Callable[[], bool] = bool,
) -> Verdict:
    """All of them, or so many worlds as begin before it is enough; the verdict over all."""
    clock = DatabaseClock(place)
    total = Verdict()
    try:
        async with databases(place) as unit:
            number = 0
            while total.payments < chosen.payments and not enough():
                total.add(await _one_world(unit, clock, chosen, number, total.payments))
                breaches = f", {len(total.breaches)} BREACHES" if total.breaches else ""
                tell(f"world {number}: {total.payments} payments{breaches}")
                number += 1
            total.webhooks = await unit.worker.fetchval("select count(*) from provider_webhook")
    finally:
        clock.close()
    return total


async def _one_world(
    unit: ServiceUnderTest, clock: DatabaseClock, chosen: Chosen, number: int, before: int
) -> Verdict:
    chance = Random(f"{chosen.seed} {number}")
    stand = Stand(clock, chance.randrange(2**31), START + number * BETWEEN_WORLDS_S)
    async with stand.open(), core(unit, stand, chance, chosen.planted, chosen.only) as found:
        people = People(found, stand, chance)
        count = min(chosen.payments - before, chosen.each)
        return await _world(people, count, chosen.jumps_s)


async def _world(people: People, count: int, jumps_s: Sequence[int]) -> Verdict:
    stand, found = people.stand, people.core
    stand.use_plan(people.chance)
    await people.begin(count)
    await people.returns.pay_out(count // 10)
    for jump in jumps_s:
        await _passes(people, jump, begins=jump < 26 * 3600)
    late = people.pay_late()
    for jump in LATE_S:
        await _passes(people, jump, begins=False)
    stand.world.use_plan(Plan())
    for jump in QUIET_S:
        await _passes(people, jump, begins=False)
    await found.work()
    verdict = await judged(found, stand, people.tenant_id)
    verdict.late = late
    return verdict


async def _passes(people: People, seconds: int, *, begins: bool) -> None:
    """Everything that is due, what people do then, and time."""
    await people.core.work()
    acted = await people.act(begins=begins)
    if await people.returns.act() or acted:
        await people.core.work()
    await people.stand.pass_time(seconds)
    await people.core.fire_timers()


def report(found: Verdict, seconds: float) -> str:
    """All that was seen, in Markdown."""
    asked = sum(found.met.values())
    faults = sorted({kind for _, kind in found.met if kind})
    operations = sorted({name for name, _ in found.met})
    ambiguous = sum(
        count for (_, kind), count in found.met.items() if kind in (*AMBIGUOUS, "outage")
    )
    first = (
        f"{found.payments:,} payments, {found.captured:,} captures, {asked:,} requests"
        f" ({100 * ambiguous / asked:.1f} % with an ambiguous end), {found.webhooks:,} webhooks"
        f" kept, {found.deaths} deaths, {found.late} paid late; {seconds:.0f} s"
    )
    gone = ", ".join(f"{n:,} {s}" for s, n in sorted(found.gone.items()))
    lines = [
        first,
        f"ended: {', '.join(f'{n:,} {s}' for s, n in found.states.most_common())}",
        f"attempts of an invoice: {dict(sorted(found.attempts.items()))}",
        f"queued for a person: {found.queued}",
        (
            f"webhooks: {found.mischief['forged']:,} forged, of which {found.mischief['believed']}"
            f" believed; {found.mischief['replayed']:,} replayed"
        ),
        f"money that left: {gone}; refunds that a bank sent back later: {found.sent_back}",
        "",
        f"| operation | asked | {' | '.join(faults)} |",
        f"|---|---|{'---|' * len(faults)}",
    ]
    for name in operations:
        each = [found.met[name, kind] for kind in faults]
        whole = sum(each) + found.met[name, ""]
        lines.append(f"| {name} | {whole:,} | {' | '.join(f'{one:,}' for one in each)} |")
    kinds = (
        *("double capture", "lost capture", "phantom capture", "capture of nobody"),
        *(
            f"{how} {what}"
            for what in ("refund", "payout")
            for how in ("double", "lost", "phantom")
        ),
        "unresolved",
    )
    counts = {kind: sum(one.startswith(kind) for one in found.breaches) for kind in kinds}
    return "\n".join([*lines, "", *(f"{kind}: {count}" for kind, count in counts.items())])


def timed() -> Callable[[], float]:
    """Seconds since now."""
    started = time.monotonic()
    return lambda: time.monotonic() - started
