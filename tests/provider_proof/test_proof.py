"""A small sample of the proof, and that it notices a fault of ours."""

from collections.abc import Callable

import pytest
from tests.provider_proof import core, stand
from tests.provider_proof.intake import intake
from tests.provider_proof.run import Chosen, proof, report

from testkit.databases import ServiceDatabase


@pytest.fixture
def place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("provider_orchestrator")


@pytest.fixture(autouse=True)
def whatever_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hangs, and nobody gives up because this machine is slow."""
    monkeypatch.setattr(stand, "HANGS_MAX", 0.0)
    monkeypatch.setattr(core, "TIMEOUT_S", 60.0)


JUMPS_S = (3, 20, 240, 900, 3700, 9 * 3600, 26 * 3600)


async def test_no_fault_charges_twice_or_loses_money(place: ServiceDatabase) -> None:
    told: list[str] = []
    chosen = Chosen(payments=60, seed=3, jumps_s=JUMPS_S)
    found = await proof(place, chosen, told.append)
    assert found.breaches == [], report(found, 0)
    assert found.payments >= 60
    assert found.captured > 30
    assert found.gone["refunds succeeded"] > 5
    assert found.gone["payouts succeeded"] > 0
    ambiguous = sum(found.met[one] for one in found.met if one[1] in stand.AMBIGUOUS)
    assert ambiguous > 30
    assert len(told) == 1


async def test_a_repetition_with_another_key_is_noticed(place: ServiceDatabase) -> None:
    chosen = Chosen(80, seed=4, planted="another-key", jumps_s=(3, 8), only="stripe")
    found = await proof(place, chosen, lambda _: None)
    assert any(one.startswith("double capture") for one in found.breaches)


async def test_each_scheme_of_webhooks_is_verified_and_kept_once(place: ServiceDatabase) -> None:
    found = await intake(place, 10)
    assert len(found) == 5
