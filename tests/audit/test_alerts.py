"""The rules for Prometheus ask for metrics that there are."""

import re
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from audit import INVARIANTS
from audit.monitor import Gauges

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "k8s" / "base" / "auditor" / "alerts.yaml"
RUNBOOK = ROOT / "docs" / "runbooks" / "audit-breach.md"


def rules() -> list[dict]:
    text = yaml.safe_load(ALERTS.read_text())["data"]["audit.rules.yaml"]
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_each_rule_asks_for_a_metric_that_the_auditor_has() -> None:
    exported = generate_latest(Gauges().registry).decode()
    for rule in rules():
        metrics = set(re.findall(r"invoiceos_\w+", rule["expr"]))
        assert metrics
        assert all(f"\n{metric}" in exported for metric in metrics), rule["alert"]
        assert (ROOT / rule["annotations"]["runbook"]).exists()


def test_every_invariant_is_a_metric_and_so_an_alert() -> None:
    exported = generate_latest(Gauges().registry).decode()
    for invariant in INVARIANTS:
        settled = str(invariant.settled).lower()
        name = f'invoiceos_audit_breaches{{invariant="{invariant.name}",settled="{settled}"}}'
        assert f"\n{name} 0.0" in exported
    asked = " ".join(rule["expr"] for rule in rules())
    assert 'settled="true"' in asked
    assert 'settled="false"' in asked


def test_the_runbook_has_a_part_for_each_theme() -> None:
    headings = set(re.findall(r"^## (\w+)", RUNBOOK.read_text(), re.MULTILINE))
    assert {invariant.theme for invariant in INVARIANTS} <= headings
