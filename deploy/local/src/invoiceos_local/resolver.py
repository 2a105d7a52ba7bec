"""Where Kafka, PostgreSQL, the Tempo chain, an EVM chain and mail come from.

One order for `make up`, the tests and the benchmarks: an address from the environment; else a
Docker engine on this machine (`INVOICEOS_INFRA=docker` or `auto`); else embedded, which needs
nothing installed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from invoiceos_local import containers
from invoiceos_local.errors import NotReady, Unavailable
from invoiceos_local.evm import Evm
from invoiceos_local.kafka import Front, Kafka
from invoiceos_local.kafka_security import login
from invoiceos_local.mail import Mail
from invoiceos_local.postgres import Postgres
from invoiceos_local.processes import Processes, sweep
from invoiceos_local.tempo import Tempo

Need = Literal["kafka", "postgres", "tempo", "evm", "smtp"]
EVERYTHING: frozenset[Need] = frozenset({"kafka", "postgres", "tempo", "evm", "smtp"})
Report = Callable[[str], None]


@dataclass(frozen=True)
class Infrastructure:
    """The addresses; one that was not asked for is empty."""

    kafka_bootstrap: str = ""
    kafka_security_protocol: str = ""
    """PLAINTEXT or empty where nobody has to log in; else also as whom its operator does."""
    kafka_username: str = ""
    kafka_password: str = field(default="", repr=False)
    postgres_url: str = ""
    tempo_rpc_url: str = ""
    evm_rpc_url: str = ""
    """Of a chain by Ethereum's rules with our contracts on it; empty where there is none."""
    smtp_url: str = ""
    mail_api_url: str = ""

    @property
    def tempo_ws_url(self) -> str:
        """The chain's WebSocket, which anvil serves on the same port."""
        return self.tempo_rpc_url.replace("http", "ws", 1)

    @property
    def evm_ws_url(self) -> str:
        """As of Tempo."""
        return self.evm_rpc_url.replace("http", "ws", 1)

    @property
    def kafka_secured(self) -> bool:
        """Whether clients of the broker have to log in."""
        return self.kafka_security_protocol not in {"", "PLAINTEXT"}

    def kafka_options(self) -> dict[str, Any]:
        """The keyword arguments of aiokafka's clients, as the broker's operator."""
        where = {"bootstrap_servers": self.kafka_bootstrap}
        if not self.kafka_secured:
            return where
        return where | login(self.kafka_username, self.kafka_password)


def _security_is_chosen() -> bool:
    chosen = os.environ.get("INVOICEOS_KAFKA_SECURITY", "none")
    if chosen not in {"none", "sasl"}:
        raise Unavailable(f"INVOICEOS_KAFKA_SECURITY is {chosen!r}; use none or sasl")
    return chosen == "sasl"


@dataclass(frozen=True)
class Choices:
    """What may differ between a stack to keep and one for a test.

    `own` leaves addresses in the environment aside, for a stack that must not share a broker.
    `embedded` leaves Docker aside, for one whose parts are signalled as processes.
    """

    ports: Mapping[str, int] = field(default_factory=dict)
    shared_buffers: str = "128MB"
    fsync: bool = True
    block_seconds: float | None = None
    own: bool = False
    embedded: bool = False
    kafka_front: Front | None = None
    """Only of an embedded broker."""
    security: bool = field(default_factory=_security_is_chosen)
    """The broker asks its clients who they are, and lets each do what it declares alone."""


class Backend(Protocol):
    """Something that can be started again at the same address after it was stopped."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def send(self, number: signal.Signals) -> None: ...

    def is_alive(self) -> bool: ...


@dataclass(frozen=True)
class _Source:
    """One backend, and what its addresses are called once it runs."""

    need: Need
    title: str
    origin: str
    backend: Backend
    addresses: Callable[[], dict[str, str]]


_TITLES: Mapping[Need, str] = {
    "kafka": "Kafka",
    "postgres": "PostgreSQL",
    "tempo": "Tempo chain",
    "evm": "EVM chain",
    "smtp": "Mail sink",
}
_SETTINGS: Mapping[Need, Mapping[str, str]] = {
    "kafka": {
        "kafka_bootstrap": "INVOICEOS_KAFKA_BOOTSTRAP",
        "kafka_security_protocol": "INVOICEOS_KAFKA_SECURITY_PROTOCOL",
        "kafka_username": "INVOICEOS_KAFKA_SASL_USERNAME",
        "kafka_password": "INVOICEOS_KAFKA_SASL_PASSWORD",
    },
    "postgres": {"postgres_url": "INVOICEOS_POSTGRES_URL"},
    "tempo": {"tempo_rpc_url": "INVOICEOS_TEMPO_RPC_URL"},
    "evm": {"evm_rpc_url": "INVOICEOS_EVM_RPC_URL"},
    "smtp": {"smtp_url": "INVOICEOS_SMTP_URL", "mail_api_url": "INVOICEOS_MAIL_API_URL"},
}


def title_of(need: Need) -> str:
    return _TITLES[need]


@contextmanager
def infrastructure(
    data_dir: Path,
    needs: Iterable[Need] = EVERYTHING,
    *,
    verbose: bool = False,
    choices: Choices | None = None,
) -> Iterator[Infrastructure]:
    """Starts what is needed at once and ends it afterwards; data and logs lie in `data_dir`."""
    sweep(data_dir)
    processes = Processes(data_dir)
    running = Running(processes, choices or Choices(), print if verbose else None)
    try:
        yield running.start(frozenset(needs))
    finally:
        running.stop()


class Running:
    """Infrastructure whose start and end are separate steps."""

    def __init__(
        self,
        processes: Processes,
        choices: Choices,
        report: Report | None = None,
        then: Mapping[Need, Callable[[Infrastructure], None]] | None = None,
    ) -> None:
        """`then` names what to do as soon as one part is there, while others still start."""
        self._processes = processes
        self._choices = choices
        self._report: Report = report or (lambda _: None)
        self._then = then or {}
        self._sources: list[_Source] = []

    def start(self, needs: frozenset[Need]) -> Infrastructure:
        """Returns when everything is healthy; stops all of it when one part fails."""
        found, missing = _from_environment(needs if not self._choices.own else frozenset())
        missing += sorted(needs) if self._choices.own else []
        kind = _kind() if missing and not self._choices.embedded else "embedded"
        for need in sorted(needs - set(missing)):
            self._report(f"{_TITLES[need]}: as set in the environment")
            self._follow_up(need, found)
        with ThreadPoolExecutor(max_workers=len(EVERYTHING), thread_name_prefix="infra") as pool:
            jobs = [pool.submit(self._start_one, need, kind) for need in missing]
            try:
                for job in as_completed(jobs):
                    found = replace(found, **job.result())
            except BaseException:
                self._processes.stop_all(grace_seconds=1)
                pool.shutdown(cancel_futures=True)
                self.stop()
                raise
        return found

    def _start_one(self, need: Need, kind: str) -> dict[str, str]:
        if (
            kind != "embedded"
            and need != "smtp"
            and not (need == "kafka" and self._choices.security)
        ):
            try:
                return self._begin(_in_container(need, self._choices))
            except (Unavailable, NotReady) as error:
                if kind == "docker":
                    raise
                self._report(f"{_TITLES[need]}: embedded instead of Docker ({error})")
        return self._begin(_embedded(need, self._processes, self._choices))

    def _begin(self, source: _Source) -> dict[str, str]:
        began = time.monotonic()
        self._sources.append(source)
        try:
            source.backend.start()
        except BaseException:
            source.backend.stop()
            raise
        addresses = source.addresses()
        place = next(iter(addresses.values())).rpartition("@")[2]
        took = time.monotonic() - began
        self._report(f"{source.title}: {place} ({source.origin}, {took:.1f} s)")
        self._follow_up(source.need, Infrastructure(**addresses))
        return addresses

    def _follow_up(self, need: Need, found: Infrastructure) -> None:
        action = self._then.get(need)
        if action is not None:
            action(found)

    def backend(self, name: str) -> Backend | None:
        """The backend of a need that was started here."""
        return next((s.backend for s in self._sources if s.need == name), None)

    def dead(self) -> list[Need]:
        """The needs whose backend has ended by itself."""
        return [source.need for source in self._sources if not source.backend.is_alive()]

    def stop(self) -> None:
        """Ends what was started here, all at once; what the environment named is left alone."""
        with ThreadPoolExecutor(max_workers=len(EVERYTHING)) as pool:
            for job in [pool.submit(source.backend.stop) for source in self._sources]:
                job.result()
        self._sources.clear()


def _kind() -> Literal["embedded", "docker", "auto"]:
    chosen = os.environ.get("INVOICEOS_INFRA", "auto")
    if chosen not in {"auto", "docker", "embedded"}:
        raise Unavailable(f"INVOICEOS_INFRA is {chosen!r}; use auto, docker or embedded")
    if chosen == "embedded":
        return "embedded"
    if containers.engine_answers():
        return "docker" if chosen == "docker" else "auto"
    if chosen == "docker":
        raise Unavailable("no Docker engine answers: start one, or set INVOICEOS_INFRA=embedded")
    return "embedded"


def _from_environment(needs: frozenset[Need]) -> tuple[Infrastructure, list[Need]]:
    """The addresses that are set, and the needs whose first address is not."""
    addresses: dict[str, str] = {}
    missing: list[Need] = []
    for need in sorted(needs):
        values = {name: os.environ.get(key, "") for name, key in _SETTINGS[need].items()}
        if next(iter(values.values())):
            addresses |= values
        else:
            missing.append(need)
    return Infrastructure(**addresses), missing


def _in_container(need: Need, choices: Choices) -> _Source:
    port = choices.ports.get(need)
    source = partial(_Source, need, _TITLES[need], "Docker")
    if need == "kafka":
        kafka = containers.KafkaContainer(port)
        return source(kafka, lambda: {"kafka_bootstrap": kafka.bootstrap})
    if need == "postgres":
        postgres = containers.PostgresContainer(port)
        return source(postgres, lambda: {"postgres_url": postgres.url})
    if need == "evm":
        evm = containers.EvmContainer(port)
        return source(evm, lambda: {"evm_rpc_url": evm.rpc_url})
    tempo = containers.TempoContainer(port)
    return source(tempo, lambda: {"tempo_rpc_url": tempo.rpc_url})


def _embedded(need: Need, processes: Processes, choices: Choices) -> _Source:
    port = choices.ports.get(need)
    source = partial(_Source, need, _TITLES[need], "embedded")
    if need == "kafka":
        kafka = Kafka(processes, port, front=choices.kafka_front, secured=choices.security)
        return source(kafka, lambda: kafka.addresses)
    if need == "postgres":
        postgres = Postgres(
            processes, port, shared_buffers=choices.shared_buffers, fsync=choices.fsync
        )
        return source(postgres, lambda: {"postgres_url": postgres.url})
    if need == "tempo":
        tempo = Tempo(processes, port, block_seconds=choices.block_seconds)
        return source(tempo, lambda: {"tempo_rpc_url": tempo.rpc_url})
    if need == "evm":
        evm = Evm(processes, port)
        return source(evm, lambda: {"evm_rpc_url": evm.rpc_url})
    mail = Mail(processes, port, choices.ports.get("mail_api"))
    return source(mail, lambda: {"smtp_url": mail.smtp_url, "mail_api_url": mail.api_url})
