"""Each service runs from its own distribution and what that asks for, and from nothing else.

uv cannot stop a workspace member from importing what only another member declares; this does.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
# Imports every module of a package while a guard refuses all but the names it was given.
PROGRAM = """
import importlib, pkgutil, sys
package, allowed = sys.argv[1], set(sys.argv[2].split(","))

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names or top.startswith("_")
        if top not in allowed and not known:
            raise ModuleNotFoundError(f"refused: {name}", name=name)
        return None

sys.meta_path.insert(0, Guard())
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, package + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


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


Done = subprocess.CompletedProcess[str]


def import_all(package: str, allowed: set[str]) -> Done:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, package, ",".join(sorted(allowed))],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def allowed_for(package: str) -> set[str]:
    return modules_of(closure(NAMED.get(package, package.replace("_", "-")))) | {package}


@pytest.fixture(scope="module")
def imported() -> dict[str, Done]:
    """How importing each package ended; at once, for each is a process of its own."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        packages = [*(name.replace("-", "_") for name in SERVICES), *NAMED]
        jobs = {p: pool.submit(import_all, p, allowed_for(p)) for p in packages}
        return {package: job.result() for package, job in jobs.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_imports_with_what_it_asks_for_and_no_other_service(
    name: str, imported: dict[str, Done]
) -> None:
    package = name.replace("-", "_")
    allowed = allowed_for(package)
    assert not allowed & {s.replace("-", "_") for s in SERVICES if s != name}
    assert not allowed & {"testkit", "invoiceos_local", "pytest"}, "never part of a service"
    done = imported[package]
    assert done.returncode == 0, f"declare it in services/{name}/pyproject.toml\n{done.stderr}"


@pytest.mark.parametrize("package", NAMED)
def test_a_library_imports_with_what_it_asks_for(package: str, imported: dict[str, Done]) -> None:
    assert imported[package].returncode == 0, imported[package].stderr


def test_money_asks_for_nothing() -> None:
    assert closure("invoiceos-money") == {"invoiceos-money"}


def test_the_guard_bites() -> None:
    done = import_all("messaging", {"messaging"})
    assert done.returncode != 0
    assert "refused: " in done.stderr
