"""The docs' example holds; a document that cannot mean what its author thinks is refused, and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from provider_orchestrator.domain.routing_rules import TEMPO_FIRST, RoutingRules

DOCUMENT = Path(__file__).parents[2] / "docs" / "routing.md"
EXAMPLE = DOCUMENT.read_text().partition("```json\n")[2].partition("```")[0]


def test_a_document_survives_being_written_and_read() -> None:
    read = RoutingRules.model_validate_json(EXAMPLE)
    assert [rule.name for rule in read.rules] == ["large card payments in Europe", "dollars"]
    again = read.model_dump_json(exclude_defaults=True)
    assert RoutingRules.model_validate_json(again) == read
    assert json.loads(TEMPO_FIRST.model_dump_json(exclude_defaults=True)) == {
        "otherwise": {"order": ["tempo"]}
    }


def rule(**said: Any) -> dict[str, Any]:
    return {"rules": [{"name": "one", **said}]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"rule": []}, "Extra inputs are not permitted"),
        ({"explore": "yes"}, "valid boolean"),
        ({"small_below_units": 1.5}, "valid integer"),
        (rule(order=["a", "a"]), "order names a more than once"),
        (rule(order=["a/card"], exclude=["a"]), "order names a/card, which exclude leaves out"),
        (rule(order=["Stripe"]), "should match pattern"),
        (rule(split=[{"to": "a", "percent": 99}]), "99 percent together; they must be 100"),
        (rule(split=[{"to": "a", "percent": "100"}]), "valid integer"),
        (
            rule(split=[{"to": "a", "percent": 50}, {"to": "a", "percent": 50}]),
            "split names a more than once",
        ),
        (
            rule(split=[{"to": "a", "percent": 100}], exclude=["a"]),
            "split names a, which exclude leaves out",
        ),
        (rule(when={"payer_countries": ["de"]}), "should match pattern"),
        (
            rule(when={"amount": {"asset": "EUR", "from_minor": 5, "below_minor": 5}}),
            "no amount is in this band",
        ),
        (
            rule(when={"currencies": ["USD"], "amount": {"asset": "EUR"}}),
            "amount is in EUR, which is not among the currencies",
        ),
        (
            {"rules": [{"name": "a", "when": {"methods": ["card"]}}, {"name": "a"}]},
            "more than one is called 'a'",
        ),
        (
            {"rules": [{"name": "all"}, {"name": "some", "when": {"methods": ["card"]}}]},
            "'some' can never decide",
        ),
    ],
)
def test_what_is_wrong_with_a_document_is_said(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RoutingRules.model_validate_json(json.dumps(document))
