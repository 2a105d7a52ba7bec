"""A service is whole: everything that makes it known to builds, operators and readers is there.

What is missing is named together with how to add it (docs/adding-a-service.md).
"""

import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
STAND_INS = {"provider-sandbox"}
"""Folders that play somebody else's system: no service of ours, so none of its rules.

No Kafka, no database, no nine names, no manifests (ADR 0021).
The rules about files, imports and types hold for them as for everything.
"""
FOLDERS = sorted(path for path in (ROOT / "services").iterdir() if path.is_dir())
SERVICES = [path for path in FOLDERS if path.name not in STAND_INS]
MANIFESTS = {
    *("configmap.yaml", "deployment.yaml", "kustomization.yaml", "migrate-job.yaml"),
    *("pdb.yaml", "service.yaml", "serviceaccount.yaml"),
}
each_service = pytest.mark.parametrize("folder", SERVICES, ids=lambda path: path.name)


def package_of(folder: Path) -> str:
    return folder.name.replace("-", "_")


def allowed_names() -> set[str]:
    """The names of a service's parts, as the import linter's layers have them: one truth."""
    (layers,) = (c["layers"] for c in CONFIG["contracts"] if c.get("exhaustive"))
    joined = " ".join(layers)
    return set(joined.translate(str.maketrans("()|:", "    ")).split())


@each_service
def test_its_package_has_the_allowed_names_only(folder: Path) -> None:
    package = folder / "src" / package_of(folder)
    assert (package / "__init__.py").exists(), f"put the code under src/{package_of(folder)}/"
    assert (package / "py.typed").exists(), "add an empty py.typed: the package is typed"
    found = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/*.py")
    }
    unknown = found - allowed_names() - {"__init__", package.name}
    assert not unknown, (
        f"{sorted(unknown)}: a service consists of {sorted(allowed_names())}; move the code into "
        "the part whose job it is, or change the layers in pyproject.toml by an ADR"
    )
    for needed in ("__main__", "app", "settings"):
        assert needed in found, f"{needed}.py is missing: `make new-service` shows a minimal one"


@each_service
def test_it_is_a_distribution_with_its_entry_point(folder: Path) -> None:
    path = folder / "pyproject.toml"
    assert path.exists(), "add pyproject.toml as in services/invoice"
    project = tomllib.loads(path.read_text())["project"]
    assert project["name"] == folder.name
    assert project["entry-points"]["invoiceos.services"] == {
        folder.name: f"{package_of(folder)}.app:service"
    }, "the entry point is how `invoiceos serve`, migrations and documents find the service"


@each_service
def test_it_has_migrations_in_order(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "migrations").glob("*.sql"))
    assert names, "add migrations/0001_pre_<what>.sql: a service owns its schema"
    numbers = [int(name[:4]) for name in names]
    assert numbers == list(range(1, len(names) + 1)), f"number them without a gap: {names}"
    assert all(name[4:9] in {"_pre_", "_post"} for name in names), "say pre or post deployment"


@each_service
def test_it_has_tests(folder: Path) -> None:
    tests = ROOT / "tests" / package_of(folder)
    assert list(tests.rglob("test_*.py")), f"add tests/{package_of(folder)}/test_domain.py"


@each_service
def test_operators_can_apply_it(folder: Path) -> None:
    base = ROOT / "k8s" / "base"
    found = {path.name for path in (base / folder.name).glob("*.yaml")}
    assert found >= MANIFESTS, f"add k8s/base/{folder.name}/: {sorted(MANIFESTS - found)}"
    resources = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    assert folder.name in resources, "name it in k8s/base/kustomization.yaml"


@each_service
def test_compose_runs_it(folder: Path) -> None:
    entries = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert folder.name in entries, f"add {folder.name} to docker-compose.yml"
    assert entries[folder.name]["command"] == ["serve", folder.name]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"--package {folder.name}" in dockerfile, "name it in SERVICES of deploy/Dockerfile"


@each_service
def test_the_import_linter_knows_it(folder: Path) -> None:
    name = package_of(folder)
    rules = {c["name"]: c for c in CONFIG["contracts"]}
    assert name in CONFIG["root_packages"]
    assert name in rules["No service knows another"]["modules"]
    assert name in rules["Inside a service: only the nine names, in their order"]["containers"]
    assert f"{name}.domain" in rules["The domain is pure"]["source_modules"]
    layers = rules["Libraries stand on each other in one direction"]["layers"]
    assert any(name in layer.split(" | ") for layer in layers)


@each_service
def test_readers_find_it(folder: Path) -> None:
    assert f"`{folder.name}`" in (ROOT / "README.md").read_text(), "add it to the map in README.md"


def test_a_stand_in_is_not_taken_for_a_service() -> None:
    for folder in (path for path in FOLDERS if path.name in STAND_INS):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert "invoiceos.services" not in project["entry-points"], "then it is a service: be one"
        assert not (folder / "migrations").exists()
        assert not (ROOT / "k8s" / "base" / folder.name).exists(), "production never runs it"
        assert package_of(folder) in CONFIG["root_packages"], "imports are held for it too"
        assert list((ROOT / "tests" / package_of(folder)).rglob("test_*.py"))


def test_every_manifest_folder_and_every_test_folder_belongs_to_something() -> None:
    names = {folder.name for folder in SERVICES}
    bases = {path.name for path in (ROOT / "k8s" / "base").iterdir() if path.is_dir()}
    assert bases == names | {"platform", "auditor"}, (
        "a service that went takes its manifests with it"
    )
