"""A copy of the checkout in which faults are planted, with a broker, database and chain of its own.

Its own, for a database that was migrated with a planted fault must not become the template of
anybody else's tests.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psycopg
from psycopg import sql
from tests.mutations.mutation import Mutation
from tests.mutations.verdict import Failure, Run, failures_in

from invoiceos_local.resolver import Choices, Infrastructure, infrastructure

ROOT = Path(__file__).resolve().parents[2]
SUITE_S_MAX = 300
SEEDS_S_MAX = 1200
TEST_S_MAX = 90
"""Less than a suite's limit, so that a test that hangs is a failed test."""
_SOURCES = ("contracts/src", "libs/*/src", "services/*/src", "deploy/local/src")
_OUTPUT_MAX = 3000
_GRACE_S = 30


class Workbench:
    """Runs suites against the copy."""

    def __init__(self, checkout: Path, infra: Infrastructure) -> None:
        """Use `workbench()`, which makes and removes both."""
        self._checkout = checkout
        self._postgres_url = infra.postgres_url
        sources = [str(path) for shape in _SOURCES for path in sorted(checkout.glob(shape))]
        named = {f"INVOICEOS_{name.upper()}": value for name, value in asdict(infra).items()}
        # A broker that asks nobody who they are has no logins; empty ones would be wrong ones.
        addresses = {name: value for name, value in named.items() if value}
        self._environment = {**os.environ, **addresses, "PYTHONPATH": os.pathsep.join(sources)}

    @contextmanager
    def planted(self, mutation: Mutation) -> Iterator[None]:
        """Plant a mutation and take it out again; raises `NoLongerApplies`."""
        path = self._checkout / mutation.file
        whole = path.read_text()
        changed = mutation.planted_in(whole)
        try:
            self._write(path, changed, mutation)
            yield
        finally:
            self._write(path, whole, mutation)

    def _write(self, path: Path, text: str, mutation: Mutation) -> None:
        path.write_text(text)
        if mutation.changes_schema:
            self._forget_templates()
        else:
            # Compiled code is recognised by second and size: both may be the same.
            Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    def _forget_templates(self) -> None:
        """Databases of tests are cloned from templates that know the schema as it was."""
        with psycopg.connect(self._postgres_url, autocommit=True) as connection:
            known = connection.execute(
                "select datname from pg_database where starts_with(datname, 'template_')"
            )
            for (name,) in known.fetchall():
                drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
                connection.execute(drop)

    def run(self, mutation: Mutation) -> Run:
        """Run the suite of a mutation as the copy is now, until its first failure."""
        if mutation.is_simulated:
            return self.simulated(mutation.arguments[1:])
        return self.tested([*mutation.arguments, "-x"], SUITE_S_MAX)

    def tested(self, arguments: Sequence[str], seconds_max: float) -> Run:
        """Run tests."""
        report = self._checkout / "report.xml"
        report.unlink(missing_ok=True)
        options = ["-q", "--tb=line", "-p", "no:cacheprovider", f"--timeout={TEST_S_MAX}"]
        command = ["-m", "pytest", *options, f"--junitxml={report}", *arguments]
        code, seconds, output = self._python(command, seconds_max)
        if code is None or not report.exists():
            return Run(code, seconds, output=output)
        found = report.read_text()
        return Run(code, seconds, failures_in(found), failures_in(found, "error"), output)

    def simulated(self, arguments: Sequence[str]) -> Run:
        """Run seeds of the simulator until the first that breaks something."""
        said = self._checkout / ".local" / "simulation.json"
        said.unlink(missing_ok=True)
        command = ["-m", "tests.simulator", "--first", *arguments]
        code, seconds, output = self._python(command, SEEDS_S_MAX)
        broken = (
            json.loads(said.read_text())["broken"] if code is not None and said.exists() else {}
        )
        found = [
            Failure(f"tests.simulator --seeds {seed}", findings[0])
            for seed, findings in broken.items()
        ]
        return Run(code, seconds, tuple(found), output=output)

    def _python(self, command: Sequence[str], seconds_max: float) -> tuple[int | None, float, str]:
        """Exit code (None when time was over), seconds, the end of what was printed."""
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self._checkout,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        code: int | None
        try:
            output, _ = process.communicate(timeout=seconds_max)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code, output = None, "its time was over"
        finally:
            _end_session(process)
        return code, time.monotonic() - began, output[-_OUTPUT_MAX:]


def _end_session(process: subprocess.Popen[str]) -> None:
    """Leave nothing running, not even what a test that failed had started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # pytest then takes down what its fixtures started
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def workbench() -> Iterator[Workbench]:
    """Make a copy and start what it needs; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="invoiceos-mutations-") as place:
        checkout = Path(place) / "checkout"
        copy_checkout(checkout)
        needs = ("kafka", "postgres", "tempo", "smtp")
        choices = Choices(own=True, fsync=False)
        with infrastructure(Path(place) / "data", needs, choices=choices) as infra:
            yield Workbench(checkout, infra)


def copy_checkout(target: Path) -> None:
    """Copy what git knows and what it would be asked to add, as it lies in the working tree."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
