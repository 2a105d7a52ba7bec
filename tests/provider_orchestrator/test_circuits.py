"""Health is kept of each currency and of the rail, with its history; a person resets what is held."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from invoiceos_contracts import PLATFORM
from invoiceos_contracts.base import HealthState
from invoiceos_contracts.provider_v1 import ProviderHealthChanged
from messaging import Refusal
from provider_orchestrator.app import service
from provider_orchestrator.commands.observe_health import observe_health
from provider_orchestrator.commands.reset_providers import Reset, reset_providers
from provider_orchestrator.domain.health import Health, Key, Observation
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.errors import ProviderNotOpen, ProviderUnknown
from provider_orchestrator.store import providers as store
from testkit.databases import ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

EUR, USD = Key("stripe", "card", "EUR"), Key("stripe", "card", "USD")
CARD = Key("stripe", "card")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def unit(place: ServiceDatabase) -> AsyncIterator[ServiceUnderTest]:
    async with under_test(service, place) as started:
        yield started


async def saw(unit: ServiceUnderTest, key: Key, *outcomes: Outcome, at: datetime = NOON) -> Health:
    async with unit.worker.transaction() as tx:
        seen = [Observation(at, outcome, 1000, f"was {outcome}") for outcome in outcomes]
        health, _ = await observe_health(tx, seen, key=key, jitter_ppm=0)
        return health


async def known(unit: ServiceUnderTest) -> dict[Key, Health]:
    async with unit.worker.transaction() as tx:
        return await store.select_health(tx)


async def test_what_a_currency_shows_counts_for_its_rail_too(unit: ServiceUnderTest) -> None:
    await saw(unit, EUR, *[Outcome.INFRA] * 3)
    await saw(unit, USD, *[Outcome.INFRA] * 2)
    after = await known(unit)
    assert [after[key].samples for key in (EUR, USD, CARD)] == [3, 2, 5]
    assert [after[key].state for key in (EUR, USD, CARD)] == ["closed", "closed", "open"]
    (opened,) = await unit.facts(ProviderHealthChanged)
    assert (opened.provider, opened.rail, opened.currency) == ("stripe", "card", None)
    assert (opened.samples, opened.effective_samples, opened.cause) == (5, 5, "was infra")


async def test_one_currency_can_be_unwell_alone_and_says_so(unit: ServiceUnderTest) -> None:
    await saw(unit, USD, *[Outcome.OK] * 30)
    for _ in range(5):
        await saw(unit, EUR, Outcome.UNKNOWN)
        await saw(unit, USD, Outcome.OK)
    after = await known(unit)
    assert [after[key].state for key in (EUR, USD, CARD)] == ["open", "closed", "closed"]
    (opened,) = await unit.facts(ProviderHealthChanged)
    assert opened.currency == "EUR"
    assert opened.provider_id == store.id_of(EUR) != store.id_of(CARD)


async def test_declines_and_our_own_faults_say_nothing_of_the_providers_health(
    unit: ServiceUnderTest,
) -> None:
    before = await saw(unit, EUR, Outcome.OK)
    after = await saw(unit, EUR, *[Outcome.DECLINED, Outcome.OUR_FAULT] * 20)
    assert (after.score_ppm, after.samples, after.state) == (before.score_ppm, 1, "closed")
    assert after.acceptance_ppm < 400_000


async def test_a_good_answer_that_took_too_long_counts_half(unit: ServiceUnderTest) -> None:
    async with unit.worker.transaction() as tx:
        slow = Observation(NOON, Outcome.OK, 10_000_001, "answered")
        health, _ = await observe_health(tx, [slow], key=EUR, jitter_ppm=0)
    assert health.score_ppm == 970_000 - 470_000 // 20
    assert (health.successes, health.p95_us) == (1, 10_000_001)


async def test_refused_credentials_open_at_once_and_until_a_person_resets_it(
    unit: ServiceUnderTest,
) -> None:
    held = await saw(unit, CARD, Outcome.AUTH)
    assert (held.state, held.held, held.open_until) == (HealthState.OPEN, True, None)
    later = await saw(unit, CARD, *[Outcome.OK] * 9, at=NOON + timedelta(days=30))
    assert (later.state, later.held) == (HealthState.OPEN, True)

    def by_anna(key: Key) -> Reset:
        return Reset(PLATFORM, key, "anna")

    one, other = await unit.command(reset_providers, by_anna(CARD), by_anna(EUR))
    assert (one.state, one.held) == (HealthState.HALF_OPEN, False)
    assert isinstance(other, ProviderUnknown)
    again: list[Refusal] = await unit.command(reset_providers, by_anna(CARD))
    assert isinstance(again[0], ProviderNotOpen)
    closed = await saw(unit, CARD, *[Outcome.OK] * 5, at=NOON + timedelta(days=30))
    assert closed.state is HealthState.CLOSED
    said = [(c.old, c.new, c.cause) for c in await unit.facts(ProviderHealthChanged)]
    assert said == [
        ("closed", "open", "was auth"),
        ("open", "half_open", "reset by anna"),
        ("half_open", "closed", "was ok"),
    ]


async def test_the_history_has_each_change_that_was_stated_and_is_bounded(
    unit: ServiceUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHANGES_KEPT", 4)
    now = NOON
    for _ in range(3):
        await saw(unit, CARD, *[Outcome.INFRA] * 5, at=now)
        now += timedelta(minutes=20)
        await saw(unit, CARD, *[Outcome.OK] * 5, at=now)
    kept = await unit.worker.fetch("select old, new from provider_health_change order by id")
    stated = [(c.old, c.new) for c in await unit.facts(ProviderHealthChanged)]
    assert len(stated) == 9
    assert [(row["old"], row["new"]) for row in kept] == stated[-4:]


async def test_the_database_refuses_a_circuit_that_is_open_without_an_end_or_a_person(
    unit: ServiceUnderTest,
) -> None:
    await saw(unit, CARD, Outcome.OK)
    for wrong in ("state = 'open'", "held = true", "open_until = now()", "score_ppm = -1"):
        with pytest.raises(asyncpg.CheckViolationError):
            await unit.worker.pool.execute(f"update provider_health set {wrong}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with unit.api.transaction([PLATFORM]) as tx:
            await tx.execute("delete from provider_health_change")
