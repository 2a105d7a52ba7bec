"""One real Kafka node (KRaft: broker and controller in one process) on loopback."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoiceos_local.errors import NotReady
from invoiceos_local.java import java_command
from invoiceos_local.kafka_jars import KAFKA_VERSION, kafka_jars, write_checksums
from invoiceos_local.kafka_security import OPERATOR, Logins, login, secured_properties
from invoiceos_local.ports import LOOPBACK, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until, write_private
from invoiceos_local.secrets_file import StackSecrets

__all__ = ["KAFKA_VERSION", "Front", "Kafka", "answers"]

_START_TIMEOUT_SECONDS = 90
_JVM_FLAGS = (
    *("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)


@dataclass(frozen=True)
class Front:
    """A second listener, for clients that come through a proxy.

    A broker tells its clients where to connect, so it has to know the proxy's port.
    """

    port: int
    advertised_port: int


def _listeners(port: int, controller_port: int, front: Front | None) -> dict[str, str]:
    named = {"BROKER": port, "CONTROLLER": controller_port}
    advertised = {"BROKER": port}
    if front is not None:
        named["FRONT"], advertised["FRONT"] = front.port, front.advertised_port
    return {
        "listeners": ",".join(f"{k}://{LOOPBACK}:{v}" for k, v in named.items()),
        "advertised.listeners": ",".join(f"{k}://{LOOPBACK}:{v}" for k, v in advertised.items()),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in named),
    }


def _properties(data: Path, port: int, controller_port: int, front: Front | None) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        **_listeners(port, controller_port, front),
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "group.coordinator.append.linger.ms": "0",
        "log.retention.hours": "168",
        "log.segment.bytes": str(64 * 1024 * 1024),
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        # After a crash the node waits this long before it may register again.
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "500",
    }


_TRIES = 3


class Kafka:
    """A broker whose data lies in `<folder>/kafka`; `secured` asks its clients who they are."""

    def __init__(
        self,
        processes: Processes,
        port: int | None = None,
        *,
        front: Front | None = None,
        secured: bool = False,
    ) -> None:
        self._processes = processes
        self._secured = secured
        secrets = StackSecrets.of(processes.folder)
        self._logins = Logins(
            operator=secrets.kafka_password(OPERATOR), broker=secrets.kafka_broker_password
        )
        self._front = front
        self._folder = processes.folder / "kafka"
        self._port = port or free_port()
        self._tries = 1 if port else _TRIES
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    @property
    def addresses(self) -> dict[str, str]:
        """Where it is and, where it asks, as whom its operator logs in."""
        if not self._secured:
            return {"kafka_bootstrap": self.bootstrap}
        return {
            "kafka_bootstrap": self.bootstrap,
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_username": OPERATOR,
            "kafka_password": self._logins.operator,
        }

    def start(self) -> None:
        """Returns when the broker answers a request for its metadata.

        A JVM takes seconds to come to its port, time enough for somebody else to take it: a first
        start is tried again on another port. A broker that has run keeps the port it had.
        """
        while True:
            self._tries -= 1
            try:
                self._start_once()
            except NotReady:
                if self._tries <= 0:
                    raise
                self.stop()
                self._port = free_port()
            else:
                self._tries = 0
                return

    def _start_once(self) -> None:
        java, class_path = java_command(), os.pathsep.join(map(str, kafka_jars()))
        settings = self._write_settings()
        jvm = [java, *_JVM_FLAGS, "-cp", class_path]
        if not (self._folder / "data" / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
            tool += self._logins.format_arguments()
            self._processes.run("kafka-format", Command([*jvm, *tool], folder=self._folder))
        self._child = self._processes.spawn(
            "kafka", Command([*jvm, "kafka.Kafka", str(settings)], folder=self._folder)
        )
        known = login(OPERATOR, self._logins.operator) if self._secured else {}
        wait_until(
            lambda: answers(self.bootstrap, known), self._child, "Kafka", _START_TIMEOUT_SECONDS
        )

    def _write_settings(self) -> Path:
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        path = self._folder / "server.properties"
        properties = _properties(data, self._port, free_port(), self._front)
        if self._secured:
            names = properties["listener.security.protocol.map"].split(",")
            listeners = [name.partition(":")[0] for name in names]
            properties |= secured_properties(listeners, self._logins)
        write_private(path, "".join(f"{name}={value}\n" for name, value in properties.items()))
        return path

    def send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    def is_alive(self) -> bool:
        return self._child is not None and self._child.is_alive()

    def stop(self) -> None:
        if self._child is not None:
            self._processes.stop(self._child)
            self._child = None


def answers(bootstrap: str, known: Mapping[str, Any] | None = None) -> bool:
    """Whether a broker at this address knows of itself, and so serves; `known`: how to log in."""
    return asyncio.run(_knows_itself(bootstrap, known or {}))


async def _knows_itself(bootstrap: str, known: Mapping[str, Any]) -> bool:
    from aiokafka.client import AIOKafkaClient
    from aiokafka.errors import KafkaError

    host, _, port = bootstrap.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000, **known)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except KafkaError:
        return False
    finally:
        await client.close()


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-checksums"]:
        sys.exit("usage: python -m invoiceos_local.kafka --write-checksums")
    print(f"{write_checksums()} jars written")
