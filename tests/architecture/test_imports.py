"""Each service runs from its own distribution and what that asks for, and from nothing else.

uv cannot stop a workspace member from importing what only another member declares; this does.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
NAMED = {
    "money": "invoiceos-money",
    "messaging": "invoiceos-messaging",
    "chassis": "invoiceos-chassis",
    "audit": "invoiceos-audit",
    "invoiceos_contracts": "invoiceos-contracts",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Distributions that installing this one brings along, itself included."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonical(name), extras)]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        try:
            asked = distribution(current[0]).requires or []
        except PackageNotFoundError:
            continue
        for line in asked:
            wanted = Requirement(line)
            if wanted.marker is None or any(
                wanted.marker.evaluate({"extra": extra}) for extra in {"", *current[1]}
            ):
                waiting.append((canonical(wanted.name), frozenset(wanted.extras)))
    return {found for found, _ in seen}


def members() -> dict[str, set[str]]:
    """Modules of the workspace's own distributions: an editable install does not name them."""
    found: dict[str, set[str]] = {}
    for path in [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]:
        config = tomllib.loads(path.read_text())
        packages = config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        found[canonical(config["project"]["name"])] = {Path(package).name for package in packages}
    return found


@cache
def owners_of_modules() -> Mapping[str, list[str]]:
    """Distributions by module; reads every installed one, so once."""
    return packages_distributions()


def modules_of(distributions: set[str]) -> set[str]:
    """Top-level modules these distributions bring."""
    installed = {
        module
        for module, owners in owners_of_modules().items()
        if any(canonical(owner) in distributions for owner in owners)
    }
    own = (modules for name, modules in members().items() if name in distributions)
    return installed.union(*own)


def named_by(text: str) -> set[str]:
    """First names of the modules that a source file imports, at its top or anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def undeclared(sources: Mapping[str, str], allowed: set[str]) -> dict[str, set[str]]:
    """What each file imports though nobody brings it along; files without such are left out."""
    known = allowed | sys.stdlib_module_names
    wrong = {name: named_by(text) - known for name, text in sources.items()}
    return {name: modules for name, modules in wrong.items() if modules}


def sources_of(package: str) -> dict[str, str]:
    """Texts of a package of ours, by the way to each from the root."""
    (folder,) = [*ROOT.glob(f"*/src/{package}"), *ROOT.glob(f"*/*/src/{package}")]
    return {str(path.relative_to(ROOT)): path.read_text() for path in folder.rglob("*.py")}


def allowed_for(package: str) -> set[str]:
    return modules_of(closure(NAMED.get(package, package.replace("_", "-")))) | {package}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_imports_what_it_asks_for_and_no_other_service(name: str) -> None:
    package = name.replace("-", "_")
    allowed = allowed_for(package)
    assert not allowed & {s.replace("-", "_") for s in SERVICES if s != name}
    assert not allowed & {"testkit", "invoiceos_local", "pytest"}, "never part of a service"
    assert not undeclared(sources_of(package), allowed), f"see services/{name}/pyproject.toml"


@pytest.mark.parametrize("package", NAMED)
def test_a_library_imports_what_it_asks_for(package: str) -> None:
    assert not undeclared(sources_of(package), allowed_for(package))


def test_money_asks_for_nothing() -> None:
    assert closure("invoiceos-money") == {"invoiceos-money"}


@pytest.mark.parametrize(
    "planted",
    [
        "import other",
        "import money.other, other.part",
        "from other.part import thing",
        "def late():\n    from other import thing",
        "try:\n    import other\nexcept ImportError:\n    pass",
    ],
)
def test_what_nobody_brings_along_is_noticed_wherever_it_is_imported(planted: str) -> None:
    files = {"good.py": "import os\nfrom money import Money\nfrom .other import x", "a.py": planted}
    assert undeclared(files, {"money"}) == {"a.py": {"other"}}
