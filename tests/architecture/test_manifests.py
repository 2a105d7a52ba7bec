"""What operators apply is accepted by the Kubernetes API's own schemas."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

K8S = Path(__file__).resolve().parents[2] / "k8s"


@pytest.fixture(scope="module")
def validate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("k8s_validate", K8S / "validate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_manifest_is_valid(validate: ModuleType) -> None:
    count, found = validate.findings(K8S)
    assert count > 0
    assert found == []


def a_service(**extra: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80}]},
    } | extra


def test_a_right_manifest_passes(validate: ModuleType) -> None:
    assert validate.wrong_with(a_service()) == ""


@pytest.mark.parametrize(
    "extra",
    [
        {"specc": {}},
        {"spec": {"ports": [{"port": "eighty"}]}},
        {"kind": "Servise"},
        {"apiVersion": "v7"},
    ],
)
def test_a_wrong_manifest_is_found(validate: ModuleType, extra: dict[str, Any]) -> None:
    assert validate.wrong_with(a_service(**extra)) != ""


def test_a_kustomization_names_what_lies_beside_it(validate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gone.yaml]\n"
    )
    (tmp_path / "forgotten.yaml").write_text("apiVersion: v1\nkind: List\nitems: []\n")
    _, found = validate.findings(tmp_path)
    text = " ".join(wrong for _, wrong in found)
    assert "gone.yaml is named and not there" in text
    assert "forgotten.yaml lies beside it" in text


def test_the_command_says_so_in_one_line(
    validate: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert validate.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert "k8s_validate" not in sys.modules
