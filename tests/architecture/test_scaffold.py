"""`make new-service` and `make new-adr` leave a repository that is whole."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *("pyproject.toml", "README.md", "docker-compose.yml", "deploy/Dockerfile"),
    *("deploy/scaffold.py", "deploy/scaffold_texts.py", "docs/adr", "k8s", "services"),
    *("libs", "contracts/src", "tests/architecture"),
)
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The skeleton of the repository, with a service scaffolded into it."""
    root = tmp_path_factory.mktemp("copy")
    for part in PARTS:
        source, target = ROOT / part, root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=IGNORED)
        else:
            shutil.copy(source, target)
    done = scaffold(root, "service", "fx-quotes")
    assert done.returncode == 0, done.stderr
    return root


def scaffold(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run([sys.executable, "deploy/scaffold.py", *arguments], root)


def run(command: list[str], root: Path, path: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": path} if path else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_new_service_is_whole_and_its_own_test_passes(copy: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:testkit.plugin", "-o", "addopts="]
    places = ["tests/architecture/test_inventory.py", "tests/fx_quotes", "-k", "fx-quotes or note"]
    done = run([*command, *places], copy, str(copy / "services" / "fx-quotes" / "src"))
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


def test_the_new_service_imports_and_describes_itself(copy: Path) -> None:
    program = (
        "from fx_quotes.app import service; from chassis.application import describe; "
        "import fx_quotes.__main__; print(sorted(describe(service).openapi()['paths']))"
    )
    path = str(copy / "services" / "fx-quotes" / "src")
    done = run([sys.executable, "-c", program], copy, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        ["/api/v1/fx-quotes/notes", "/api/v1/fx-quotes/notes/{note_id}"]
    )


def test_it_is_in_style(copy: Path) -> None:
    folders = ["services/fx-quotes", "tests/fx_quotes"]
    for command in (["check", "-q"], ["format", "-q", "--check"]):
        done = run([sys.executable, "-m", "ruff", *command, *folders], copy)
        assert done.returncode == 0, done.stdout


def test_the_files_that_list_services_still_parse(copy: Path) -> None:
    config = tomllib.loads((copy / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert "fx_quotes" in config["root_packages"]
    compose = yaml.safe_load((copy / "docker-compose.yml").read_text())["services"]
    assert compose["fx-quotes"]["command"] == ["serve", "fx-quotes"]
    manifests = list((copy / "k8s" / "base" / "fx-quotes").glob("*.yaml"))
    assert all("reserve-ledger" not in path.read_text() for path in manifests)
    done = run([sys.executable, "k8s/validate.py"], copy)
    assert done.returncode == 0, done.stderr


def test_the_other_services_are_untouched(copy: Path) -> None:
    before = {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    after = {path.name for path in (copy / "services").iterdir() if path.is_dir()}
    assert after == before | {"fx-quotes"}


@pytest.mark.parametrize("name", ["FX", "fx_quotes", "-fx", "fx quotes", "../fx", ""])
def test_a_bad_name_is_refused_and_nothing_is_written(copy: Path, name: str) -> None:
    before = sorted(copy.rglob("*"))
    done = scaffold(copy, "service", "--", name)
    assert done.returncode == 1
    assert "lower case words" in done.stderr
    assert sorted(copy.rglob("*")) == before


def test_an_existing_service_is_never_overwritten(copy: Path) -> None:
    done = scaffold(copy, "service", "invoice")
    assert done.returncode == 1
    assert "is there already" in done.stderr


def test_a_decision_record_gets_the_next_number(copy: Path) -> None:
    numbers = [int(path.name[:4]) for path in (copy / "docs" / "adr").glob("[0-9]*.md")]
    done = scaffold(copy, "adr", "Cache prices in memory")
    assert done.returncode == 0, done.stderr
    path = copy / done.stdout.strip()
    assert path.name == f"{max(numbers) + 1:04}-cache-prices-in-memory.md"
    text = path.read_text()
    assert text.startswith(f"# {max(numbers) + 1:04}: Cache prices in memory\n")
    for heading in ("Context", "Decision", "Consequences", "Alternatives", "Status"):
        assert f"\n## {heading}\n" in text
    assert "NNNN" not in text.split("## Status")[1]


def test_records_are_numbered_without_gap_and_have_the_five_headings() -> None:
    paths = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in paths] == list(range(1, len(paths) + 1))
    for path in paths:
        found = [line[3:] for line in path.read_text().splitlines() if line.startswith("## ")]
        assert found == ["Context", "Decision", "Consequences", "Alternatives", "Status"], path
        assert len(path.read_text().splitlines()) <= 60, f"{path}: keep it under a page"
