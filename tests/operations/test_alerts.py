"""The rules for Prometheus ask for metrics that there are, and each names a runbook that is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "k8s" / "base" / "auditor" / "operations-alerts.yaml"
TEXT = yaml.safe_load(ALERTS.read_text())["data"]["operations.rules.yaml"]
RULES = [rule for group in yaml.safe_load(TEXT)["groups"] for rule in group["rules"]]
SOURCE = "\n".join(
    path.read_text() for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_a_metric_of_ours_and_leads_to_what_to_do(rule):
    metrics = re.findall(r"invoiceos_\w+", rule["expr"])
    assert metrics
    for metric in metrics:
        assert f'"{metric.removesuffix("_total")}' in SOURCE, metric
    assert (ROOT / rule["annotations"]["runbook"]).exists()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "runbooks").glob("*.md")), ids=lambda path: path.stem
)
def test_runbooks_lead_only_to_what_is_there(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        assert (path.parent / target).exists(), target
