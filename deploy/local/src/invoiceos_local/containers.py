"""The same backends as containers, for machines where a Docker engine runs."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from invoiceos_local.anvil_node import answers as chain_answers
from invoiceos_local.errors import Unavailable
from invoiceos_local.evm import Evm, deploy_contracts
from invoiceos_local.kafka import answers as kafka_answers
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.postgres import SUPERUSER
from invoiceos_local.postgres import answers as postgres_answers
from invoiceos_local.processes import wait_until
from invoiceos_local.tempo import Tempo, register_master

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

KAFKA_IMAGE = "apache/kafka:4.1.2"
POSTGRES_IMAGE = "postgres:18.4-bookworm"
ANVIL_IMAGE = "ghcr.io/foundry-rs/foundry:v1.7.1"
_PING_TIMEOUT_SECONDS = 0.5
_READY_TIMEOUT_SECONDS = 90


def engine_answers() -> bool:
    """Whether a Docker engine on this machine answers within half a second."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    path = Path(address.removeprefix("unix://"))
    if not address.startswith("unix://") or not path.exists():
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.settimeout(_PING_TIMEOUT_SECONDS)
            engine.connect(str(path))
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in engine.recv(64)
    except OSError:
        return False


class Container:
    """One container whose port is published on loopback."""

    def __init__(self, image: str, inner_port: int, outer_port: int | None) -> None:
        self.image = image
        self.port = outer_port or free_port()
        self._inner_port = inner_port
        self._running: DockerContainer | None = None

    def run(
        self,
        environment: Mapping[str, str],
        ready: Callable[[], bool],
        *,
        command: list[str] | None = None,
        entrypoint: str | None = None,
    ) -> None:
        """Returns when `ready` says so."""
        try:
            from testcontainers.core.container import DockerContainer
        except ImportError as error:
            raise Unavailable("running in Docker needs the package testcontainers") from error
        container = DockerContainer(self.image).with_envs(**environment)
        container.with_kwargs(entrypoint=entrypoint) if entrypoint else None
        container.with_command(command) if command else None
        container.with_bind_ports(self._inner_port, self.port)
        try:
            self._running = container.start()
        except Exception as error:
            raise Unavailable(f"the image {self.image} cannot be run: {error}") from error
        wait_until(ready, None, self.image, _READY_TIMEOUT_SECONDS)

    def send(self, number: signal.Signals) -> None:
        if self._running is not None:
            self._running.get_wrapped_container().kill(number.name)

    def is_alive(self) -> bool:
        return self._running is not None and self._running.status == "running"

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None


class _Contained:
    """What a backend in a container has in common with one that is embedded."""

    _container: Container

    def send(self, number: signal.Signals) -> None:
        self._container.send(number)

    def is_alive(self) -> bool:
        return self._container.is_alive()

    def stop(self) -> None:
        self._container.stop()


class KafkaContainer(_Contained):
    """A broker with the settings of the embedded one."""

    def __init__(self, port: int | None = None) -> None:
        self._container = Container(KAFKA_IMAGE, 9092, port)

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._container.port}"

    def start(self) -> None:
        self._container.run(
            {
                "KAFKA_PROCESS_ROLES": "broker,controller",
                "KAFKA_NODE_ID": "1",
                "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
                "KAFKA_LISTENERS": "BROKER://:9092,CONTROLLER://:9093",
                "KAFKA_ADVERTISED_LISTENERS": f"BROKER://{self.bootstrap}",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
                "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
                "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
                "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
                "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
                "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
                "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
                "KAFKA_GROUP_COORDINATOR_APPEND_LINGER_MS": "0",
            },
            lambda: kafka_answers(self.bootstrap),
        )


class PostgresContainer(_Contained):
    """A server with the settings of the embedded one."""

    def __init__(self, port: int | None = None) -> None:
        self._container = Container(POSTGRES_IMAGE, 5432, port)
        self._password = secrets.token_hex(24)

    @property
    def url(self) -> str:
        place = f"{LOOPBACK}:{self._container.port}"
        return f"postgresql://{SUPERUSER}:{self._password}@{place}/postgres"

    def start(self) -> None:
        self._container.run(
            {"POSTGRES_PASSWORD": self._password, "POSTGRES_USER": SUPERUSER},
            lambda: postgres_answers(self.url),
            command=["postgres", "-c", "max_connections=300", "-c", "wal_compression=on"],
        )


class _AnvilContainer(_Contained):
    """A chain with the settings of the embedded one."""

    MODE: Sequence[str]

    def __init__(self, port: int | None = None) -> None:
        self._container = Container(ANVIL_IMAGE, 8545, port)

    @property
    def rpc_url(self) -> str:
        return f"http://{LOOPBACK}:{self._container.port}"

    def start(self) -> None:
        self._container.run(
            {},
            lambda: chain_answers(self.rpc_url),
            command=["--host", "0.0.0.0", *self.MODE],
            entrypoint="anvil",
        )
        self.prepare()

    def prepare(self) -> None:
        raise NotImplementedError


class TempoContainer(_AnvilContainer):
    """Tempo, with a virtual master."""

    MODE = Tempo.MODE

    def prepare(self) -> None:
        register_master(self.rpc_url)


class EvmContainer(_AnvilContainer):
    """A chain by Ethereum's rules, with our contracts."""

    MODE = Evm.MODE

    def prepare(self) -> None:
        deploy_contracts(self.rpc_url)
