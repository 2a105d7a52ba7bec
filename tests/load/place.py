"""Where the cases run: own infrastructure, own stack, or the one that is running."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.load.measure import listener_on, pss_mib, tree

from invoiceos_local.resolver import EVERYTHING, Choices, Infrastructure, Need, infrastructure
from invoiceos_local.stack import Plan, Stack, running_stack
from invoiceos_local.state import State, data_folder, read_supervisor

UNLIMITED = {
    "INVOICEOS_RATE_LIMIT_PER_SECOND": "0",
    "INVOICEOS_PUBLIC_RATE_LIMIT_PER_SECOND": "0",
}
"""Of requests a second: the limit would be what is measured."""


def plan() -> Plan:
    """The stack of the benchmarks: as usual, without the second chain, and its own."""
    needs = EVERYTHING - {"evm"}
    return Plan(needs=needs, choices=Choices(own=True), overrides={"gateway": UNLIMITED})


@dataclass(slots=True)
class Platform:
    """A running platform."""

    infra: Infrastructure
    urls: Mapping[str, str]
    pids: Mapping[str, int]
    admin_url: str
    operator_token: str
    environment: Mapping[str, Mapping[str, str]]
    idle_mib: dict[str, float] = field(default_factory=dict)
    flows: int = 0
    """Invoices that went through it so far."""

    @property
    def services(self) -> list[int]:
        return list(self.pids.values())

    def memory(self) -> dict[str, float]:
        """PSS of each service with its children, MiB."""
        return {name: pss_mib(tree([pid])) for name, pid in self.pids.items()}


class Place:
    """Starts what a case needs when it is first asked for; ends all of it at the end."""

    def __init__(self, *, running: bool, say: Any) -> None:
        self._use_running = running
        self._say = say
        self.folder = data_folder() / "bench-stack"
        self._open = ExitStack()
        self._infra: Infrastructure | None = None
        self._platform: Platform | None = None

    def close(self) -> None:
        self._open.close()
        self._infra = self._platform = None
        if not self._use_running:
            shutil.rmtree(self.folder, ignore_errors=True)

    def infrastructure(self) -> Infrastructure:
        """Kafka and PostgreSQL, with no service beside them where they are our own."""
        if self._infra is None:
            self._infra = self._running_infra() if self._use_running else self._own_infra()
        return self._infra

    def platform(self) -> Platform:
        """Everything."""
        if self._platform is None:
            self._platform = self._running_platform() if self._use_running else self._own_stack()
            self._infra = self._platform.infra
            self._platform.idle_mib = self._platform.memory() if not self._use_running else {}
        return self._platform

    def _own_infra(self) -> Infrastructure:
        self._say("starting Kafka and PostgreSQL")
        needs: frozenset[Need] = frozenset({"kafka", "postgres"})
        return self._open.enter_context(
            infrastructure(self.folder / "infra", needs, choices=Choices(own=True))
        )

    def _own_stack(self) -> Platform:
        self._open.close()
        self._say("starting a stack of its own")
        stack = self._open.enter_context(running_stack(self.folder / "stack", plan(), self._say))
        return platform_of(stack)

    def _running_infra(self) -> Infrastructure:
        names = ("kafka_bootstrap", "postgres_url", "tempo_rpc_url", "smtp_url", "mail_api_url")
        state = State.load(data_folder())
        if read_supervisor(data_folder()) is not None:
            return Infrastructure(**state.infrastructure)
        return Infrastructure(**{n: os.environ.get(f"INVOICEOS_{n.upper()}", "") for n in names})

    def _running_platform(self) -> Platform:
        state = State.load(data_folder())
        if read_supervisor(data_folder()) is None or state.status != "ready":
            raise RuntimeError("nothing is running; `make up` starts it, or leave --running out")
        self._say("note: the running stack limits requests a second unless it was told otherwise")
        return Platform(
            Infrastructure(**state.infrastructure),
            state.urls,
            {name: int(found["pid"]) for name, found in state.services.items()},
            state.administration["INVOICEOS_DATABASE_ADMIN_URL"],
            state.administration["INVOICEOS_OPERATOR_TOKEN"],
            state.environment,
        )


def platform_of(stack: Stack) -> Platform:
    """A stack as the cases see it."""
    administration = stack.administration_env()
    return Platform(
        stack.infrastructure,
        stack.urls,
        {name: stack.pid(name) for name in stack.ports},
        administration["INVOICEOS_DATABASE_ADMIN_URL"],
        administration["INVOICEOS_OPERATOR_TOKEN"],
        {name: stack.env_for(name) for name in stack.ports},
    )


def pids_of(infra: Infrastructure) -> dict[str, list[int]]:
    """The processes of the infrastructure, found by their ports."""
    addresses = {
        "postgres": urlsplit(infra.postgres_url).port,
        "kafka": int(infra.kafka_bootstrap.rpartition(":")[2] or 0),
        "chain": urlsplit(infra.tempo_rpc_url).port,
    }
    return {name: listener_on(port) for name, port in addresses.items() if port}


def scratch_folder(name: str) -> Path:
    """A folder for logs of helpers."""
    folder = data_folder() / "bench-stack" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def call(
    method: str, url: str, token: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Any:
    """One JSON request, for preparations; never inside a measurement."""
    request = urllib.request.Request(
        url,
        None if body is None else json.dumps(body).encode(),
        {
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            **(headers or {}),
        },
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
