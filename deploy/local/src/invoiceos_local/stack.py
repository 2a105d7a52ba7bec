"""The whole platform on one machine: infrastructure, databases, topics, a process a service.

with running_stack(folder) as stack:
    stack.urls["gateway"], stack.env_for("invoice"), stack.kill("invoice", signal.SIGKILL)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoiceos_local.chain import dev_account
from invoiceos_local.environment import (
    AUDIT_EVERY_SECONDS,
    AUDITOR,
    DATABASE,
    SANDBOX,
    Surroundings,
    administration_environment,
    auditor_environment,
    installed_services,
    sandbox_environment,
    service_environment,
)
from invoiceos_local.errors import NotReady
from invoiceos_local.evm_facts import OPERATOR_INDEX
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.postgres import create_database
from invoiceos_local.processes import (
    Child,
    Command,
    Processes,
    Spawner,
    sweep,
    wait_until,
    write_private,
)
from invoiceos_local.resolver import (
    EVERYTHING,
    Choices,
    Infrastructure,
    Need,
    Report,
    Running,
    title_of,
)
from invoiceos_local.secrets_file import StackSecrets

GATEWAY_PORT = 8080
SANDBOX_PORT = 8480
_READY_TIMEOUT_SECONDS = 90
_STOP_GRACE_SECONDS = 15
_PROBE_TIMEOUT_SECONDS = 2
_TEND_EVERY_SECONDS = 0.25
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0
_HEALTHY_AFTER_SECONDS = 30.0


def _operator_key(folder: Path) -> str:
    """The file of the key that sweeps the local EVM chain; public test material."""
    path = folder / "evm-operator.key"
    write_private(path, dev_account(OPERATOR_INDEX).private_key)
    return str(path)


def _as_found(infrastructure: Infrastructure) -> Infrastructure:
    return infrastructure


@dataclass(frozen=True)
class Plan:
    """What a stack consists of; the default is all that is installed.

    `ports` are wishes, by service or need; `overrides` are settings by service, with `*` for all.
    `reroute` gives the addresses that services are told, where these lead through a proxy.
    `program` is the `invoiceos` command, `spawner` another way to start it. With `auditor` one
    more process audits all the time, with `sandbox` one plays the payment providers.
    """

    services: Sequence[str] = field(default_factory=installed_services)
    needs: frozenset[Need] = EVERYTHING
    choices: Choices = field(default_factory=Choices)
    ports: Mapping[str, int] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reroute: Callable[[Infrastructure], Infrastructure] = _as_found
    spawner: Spawner | None = None
    program: Sequence[str] = (str(Path(sys.executable).with_name("invoiceos")),)
    restart_dead: bool = False
    auditor: bool = False
    sandbox: bool = False

    @property
    def beside(self) -> list[str]:
        """Processes that are no services."""
        return [*([AUDITOR] if self.auditor else []), *([SANDBOX] if self.sandbox else [])]


@dataclass
class _Service:
    """One service process and how often it had to be started again by itself."""

    child: Child
    started_at: float
    restarts: int = 0
    failures_in_a_row: int = 0
    due_at: float | None = None


class Stack:
    """Everything, from one process; its children end with it."""

    def __init__(
        self, folder: Path, plan: Plan | None = None, report: Report | None = None
    ) -> None:
        self._plan = plan or Plan()
        self._report: Report = report or (lambda _: None)
        self._processes = Processes(folder, self._plan.spawner)
        self._running = Running(
            self._processes,
            self._plan.choices,
            self._report,
            then={"postgres": self._prepare_databases, "kafka": self._create_topics},
        )
        wishes = self._plan.ports
        self._beside = {name: free_port(wishes.get(name)) for name in self._plan.beside}
        self._around = Surroundings(
            Infrastructure(),
            StackSecrets.of(folder),
            {name: free_port(wishes.get(name)) for name in self._plan.services},
            sandbox_url=self._url(SANDBOX) if SANDBOX in self._beside else "",
            evm_operator_key_file=_operator_key(folder) if "evm" in self._plan.needs else "",
        )
        self._services: dict[str, _Service] = {}
        self._left_dead: set[str] = set()
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._tender: threading.Thread | None = None

    @property
    def folder(self) -> Path:
        return self._processes.folder

    @property
    def infrastructure(self) -> Infrastructure:
        return self._around.infrastructure

    @property
    def ports(self) -> Mapping[str, int]:
        return self._around.ports

    @property
    def secrets(self) -> StackSecrets:
        return self._around.secrets

    @property
    def urls(self) -> dict[str, str]:
        """The base URL of each service, of the mail sink's list (`mail`), of the sandbox."""
        services = {name: self._around.url(name) for name in self._plan.services}
        if SANDBOX in self._beside:
            services[SANDBOX] = self._url(SANDBOX)
        mail = self.infrastructure.mail_api_url
        return services | ({"mail": mail} if mail else {})

    def env_for(self, service: str) -> dict[str, str]:
        """The settings given to a service."""
        overrides = self._plan.overrides
        told = replace(self._around, infrastructure=self._plan.reroute(self.infrastructure))
        made = service_environment(service, told)
        return made | dict(overrides.get("*", {})) | dict(overrides.get(service, {}))

    def administration_env(self) -> dict[str, str]:
        """The settings for the `invoiceos` commands of an operator."""
        return administration_environment(self._around)

    def start(self) -> None:
        """Returns when every service is ready; ends everything when one is not."""
        try:
            found = self._running.start(self._plan.needs)
            self._around = replace(self._around, infrastructure=found)
            self._start_services()
        except BaseException:
            self.stop()
            raise
        if self._plan.restart_dead:
            self._tender = threading.Thread(target=self._tend, name="tender", daemon=True)
            self._tender.start()

    def _start_services(self) -> None:
        began = time.monotonic()
        names = [*self._plan.services, *self._plan.beside]
        for name in names:
            self._services[name] = _Service(self._spawn(name), time.monotonic())
        for name in names:
            self._wait_ready(name)
        if self._plan.services:
            took = time.monotonic() - began
            self._report(f"Services: all {len(self._plan.services)} ready ({took:.1f} s)")

    def stop(self) -> None:
        """Ends the services together, then what they stand on."""
        self._ending.set()
        if self._tender is not None:
            self._tender.join(_STOP_GRACE_SECONDS)
        for service in self._services.values():
            service.child.send(signal.SIGTERM)
        for service in self._services.values():
            self._processes.stop(service.child, _STOP_GRACE_SECONDS)
        self._services.clear()
        self._running.stop()
        self._processes.stop_all(grace_seconds=2)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signals a service, or a part of the infrastructure by its need's name."""
        if name in self._services:
            self._services[name].child.send(number)
            return
        backend = self._running.backend(name)
        if backend is None:
            raise KeyError(f"{name} was not started by this stack")
        backend.send(number)

    def restart(self, name: str) -> None:
        """Ends a service or a part of the infrastructure and waits until it is ready again."""
        backend = self._running.backend(name)
        with self._lock:
            if backend is not None:
                backend.stop()
                backend.start()
                return
            self._processes.stop(self._services[name].child, _STOP_GRACE_SECONDS)
            self._services[name] = _Service(self._spawn(name), time.monotonic())
        self._wait_ready(name)

    def is_alive(self, name: str) -> bool:
        """Whether the process of a service or of a part of the infrastructure runs."""
        if name in self._services:
            return self._services[name].child.is_alive()
        backend = self._running.backend(name)
        return backend is not None and backend.is_alive()

    @contextmanager
    def left_dead(self, *names: str) -> Iterator[None]:
        """Inside the block what is named here is not started again when it dies; after it, it is.

        Only of use where `restart_dead` holds.
        """
        with self._lock:
            self._left_dead.update(names)
        try:
            yield
        finally:
            self._left_dead.difference_update(names)

    def pid(self, service: str) -> int:
        return self._services[service].child.identity.pid

    def log_of(self, name: str) -> Path:
        """The log of a service or of a part of the infrastructure."""
        return self._processes.logs / f"{name}.log"

    def overview(self) -> dict[str, dict[str, object]]:
        """Per service: its process, whether it answers, and how often it was started again."""
        return {
            name: {
                "pid": service.child.identity.pid,
                "ready": service.child.is_alive() and self._is_ready(name),
                "restarts": service.restarts,
                "url": self._url(name),
            }
            for name, service in list(self._services.items())
        }

    def command(self, *arguments: str) -> list[str]:
        """A command line of the `invoiceos` program."""
        return [*self._plan.program, *arguments]

    def run(self, name: str, *arguments: str) -> None:
        """Runs an `invoiceos` command with the operator's settings; its output is a log."""
        environment = _inherited() | self.administration_env()
        self._processes.run(name, Command(self.command(*arguments), environment))

    def _prepare_databases(self, found: Infrastructure) -> None:
        began = time.monotonic()
        if self._plan.services:
            create_database(found.postgres_url, DATABASE)
        self._administer(found, "database-prepare", "database", "prepare")
        self._administer(found, "migrate", "migrate", "--all")
        self._report(f"Databases: prepared and migrated ({time.monotonic() - began:.1f} s)")

    def _create_topics(self, found: Infrastructure) -> None:
        began = time.monotonic()
        self._administer(found, "topics", "topics")
        self._report(f"Topics: created ({time.monotonic() - began:.1f} s)")
        if found.kafka_secured:
            began = time.monotonic()
            self._administer(found, "acls", "acls", "apply")
            self._report(f"Rights on the topics: given ({time.monotonic() - began:.1f} s)")

    def _administer(self, found: Infrastructure, name: str, *arguments: str) -> None:
        if not self._plan.services:
            return
        around = replace(self._around, infrastructure=found)
        environment = _inherited() | administration_environment(around)
        self._processes.run(name, Command(self.command(*arguments), environment))

    def _spawn(self, name: str) -> Child:
        if name == AUDITOR:
            command = self.command("audit", "--every", str(AUDIT_EVERY_SECONDS))
            environment = _inherited() | auditor_environment(self._around, self._beside[name])
        elif name == SANDBOX:
            command = self.command("sandbox")
            file = str(self.folder / "provider-sandbox.sqlite")
            environment = _inherited() | sandbox_environment(self._beside[name], file)
        else:
            command = self.command("serve", name)
            environment = _inherited() | self.env_for(name)
        return self._processes.spawn(name, Command(command, environment))

    def _url(self, name: str) -> str:
        if name in self._beside:
            return f"http://{LOOPBACK}:{self._beside[name]}"
        return self._around.url(name)

    def _wait_ready(self, name: str) -> None:
        child = self._services[name].child
        wait_until(lambda: self._is_ready(name), child, name, _READY_TIMEOUT_SECONDS)

    def _is_ready(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(
                f"{self._url(name)}/readyz", timeout=_PROBE_TIMEOUT_SECONDS
            ) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False

    def _tend(self) -> None:
        """Starts again what has died, after a pause that doubles while it keeps dying."""
        while not self._ending.wait(_TEND_EVERY_SECONDS):
            with self._lock:
                for need in self._running.dead():
                    if need not in self._left_dead:
                        self._revive(need)
                for name in self._services.keys() - self._left_dead:
                    self._tend_one(name)

    def _revive(self, need: Need) -> None:
        self._report(f"{title_of(need)} died; starting it again")
        try:
            self.restart(need)
        except NotReady as error:
            self._report(f"{title_of(need)} did not come back: {error}")
            self._ending.wait(_LONGEST_BACK_OFF_SECONDS)

    def _tend_one(self, name: str) -> None:
        service, now = self._services[name], time.monotonic()
        if service.child.is_alive():
            if now - service.started_at > _HEALTHY_AFTER_SECONDS:
                service.failures_in_a_row = 0
        elif service.due_at is None:
            pause = _FIRST_BACK_OFF_SECONDS * 2**service.failures_in_a_row
            service.due_at = now + min(pause, _LONGEST_BACK_OFF_SECONDS)
            self._report(f"{name} ended with {service.child.exit_code()}; again in {pause:g} s")
            self._processes.stop(service.child, grace_seconds=0)
        elif now >= service.due_at:
            service.child, service.started_at, service.due_at = self._spawn(name), now, None
            service.restarts += 1
            service.failures_in_a_row += 1


def _inherited() -> dict[str, str]:
    """The caller's environment without settings of the project."""
    return {k: v for k, v in os.environ.items() if not k.startswith("INVOICEOS_")}


@contextmanager
def running_stack(
    folder: Path, plan: Plan | None = None, report: Report | None = None
) -> Iterator[Stack]:
    """A started stack, which ends with the block."""
    sweep(folder)
    stack = Stack(folder, plan, report)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()
