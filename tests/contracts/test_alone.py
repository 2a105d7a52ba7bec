"""Partners install the contracts alone: they stand on pydantic and the standard library."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

SOURCE = Path(__file__).resolve().parents[2] / "contracts" / "src"
ALLOWED = {
    *("pydantic", "pydantic_core", "typing_extensions", "annotated_types", "typing_inspection"),
}
# Runs with an empty path but these folders, and refuses every import of anything else.
PROGRAM = """
import sys
allowed, places = set(sys.argv[1].split(",")), sys.argv[2:]
sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry] + places

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if top not in allowed and not known:
            raise ModuleNotFoundError(f"refused: {name}", name=name)
        return None

sys.meta_path.insert(0, Guard())
import importlib, pkgutil
import invoiceos_contracts
for module in pkgutil.walk_packages(invoiceos_contracts.__path__, "invoiceos_contracts."):
    importlib.import_module(module.name)
from invoiceos_contracts import EVENTS
from invoiceos_contracts.samples import sample
for event in EVENTS.values():
    assert event.read(sample(event).write()) == sample(event)
print(len(EVENTS))
"""


def run(*allowed: str) -> "subprocess.CompletedProcess[str]":
    site = str(Path(str(distribution("pydantic").locate_file(""))))
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, ",".join(allowed), str(SOURCE), site],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_they_import_and_work_with_pydantic_alone() -> None:
    done = run("invoiceos_contracts", *ALLOWED)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


def test_the_guard_of_this_test_bites() -> None:
    done = run("invoiceos_contracts", *(ALLOWED - {"annotated_types"}))
    assert done.returncode != 0
    assert "refused: annotated_types" in done.stderr


def test_the_package_asks_for_pydantic_alone() -> None:
    asked = distribution("invoiceos-contracts").requires or []
    assert [Requirement(line).name for line in asked] == ["pydantic"]
