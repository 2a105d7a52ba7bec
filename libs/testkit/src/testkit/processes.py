"""The toy service as a process that can really be killed, and what it leaves on the topics."""

import asyncio
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from invoiceos_local.resolver import Infrastructure
from testkit.databases import ServiceDatabase
from testkit.warm import TOY, WarmProcess


class ToyProcess:
    """The toy service as a process of its own, so that it can really be killed."""

    def __init__(
        self, place: ServiceDatabase, infra: Infrastructure, folder: Path, group: str
    ) -> None:
        """Choose a port; nothing is started yet."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._environment = {
            **os.environ,
            "INVOICEOS_ENVIRONMENT": "test",
            "INVOICEOS_DATABASE_API_URL": place.url("api"),
            "INVOICEOS_DATABASE_WORKER_URL": place.url("worker"),
            "INVOICEOS_KAFKA_BOOTSTRAP": infra.kafka_bootstrap,
            "INVOICEOS_HTTP_PORT": str(self.port),
        }
        self._log = folder / f"toy-{self.port}.log"
        self._group = group
        self.process: WarmProcess | None = None

    def start(
        self, *, failpoint: str = "", roles: str = "api,consumers,relay", instance: str = "toy-0"
    ) -> None:
        """Start it, armed with a failpoint if one is named."""
        environment = {
            **self._environment,
            "INVOICEOS_FAILPOINT": failpoint,
            "INVOICEOS_ROLES": roles,
            "TOY_GROUP": self._group,
            "INVOICEOS_INSTANCE_ID": instance,
        }
        self.process = WarmProcess([TOY], environment, self._log)

    async def ready(self) -> None:
        """Wait until it is ready."""
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(self._answers):
                assert self.process is not None
                assert self.process.poll() is None, self._log.read_text()[-3000:]
                await asyncio.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                return True
        except OSError:
            return False

    async def died(self) -> None:
        """Wait until the failpoint has killed it."""
        assert self.process is not None
        code = await asyncio.wait_for(asyncio.to_thread(self.process.wait), 60)
        assert code == -signal.SIGKILL, self._log.read_text()[-3000:]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


async def read_topic(bootstrap: str, topic: str, keys: set[bytes], count: int) -> list[Any]:
    """Records of these keys, in order per key, until there are `count` of them and no more come."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(60):
            quiet = 0
            while len(found) < count or quiet < 3:
                polled = await consumer.getmany(timeout_ms=300)
                new = [r for records in polled.values() for r in records if r.key in keys]
                found += new
                quiet = 0 if polled else quiet + 1
    finally:
        await consumer.stop()
    return found


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for a condition that must come true."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.05)
