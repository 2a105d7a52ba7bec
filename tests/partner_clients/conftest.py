"""A partner on a broker with security on, and its clients as processes that only print."""

import asyncio
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from tests.partner_clients.tools import JAVA, NODE, java_classes, node_modules

from access.administration import Administration
from access.partner_commands import environment
from access.partners import Wish, create
from testkit.secured import SecuredKafka

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
ANSWER_S = 60


@dataclass(frozen=True)
class Partner:
    """A partner, and the platform's hand on its topics."""

    name: str
    kafka: SecuredKafka
    environment: dict[str, str] = field(repr=False)

    def tells(self, purpose: str, *records: dict[str, Any]) -> None:
        """Write to one of its topics as the gateway does."""
        asyncio.run(self._write(f"partner.{self.name}.{purpose}.v1", records))

    async def _write(self, topic: str, records: tuple[dict[str, Any], ...]) -> None:
        async with AIOKafkaProducer(**self.kafka.access("gateway").options()) as producer:
            for record in records:
                headers = [(name, value.encode()) for name, value in record["headers"].items()]
                body = json.dumps(record["value"]).encode()
                await producer.send_and_wait(topic, body, record["key"].encode(), headers=headers)


@pytest.fixture(scope="session")
def new_partner(secured_kafka: SecuredKafka) -> Callable[[], Partner]:
    """Makes a partner on the broker; its environment is what `invoiceos partner create` prints."""

    def make() -> Partner:
        wish = Wish(f"acme-{uuid.uuid4().hex[:8]}")
        with Administration(secured_kafka.operator) as broker:
            secret = create(broker, wish)
        lines = environment(secured_kafka.operator, wish, secret)
        return Partner(wish.name, secured_kafka, dict(line.split("=", 1) for line in lines))

    return make


class Client:
    """A running example: what it prints, line by line."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Path) -> None:
        self.process = process
        self._errors = errors
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        """The next line it prints."""
        try:
            return self._lines.get(timeout=ANSWER_S)
        except queue.Empty:
            pytest.fail(f"nothing was printed; it said {self._errors.read_text()[-3000:]}")

    def rest(self) -> list[str]:
        """What else it printed by now."""
        return [self._lines.get_nowait() for _ in range(self._lines.qsize())]

    def complains(self, text: str) -> None:
        """Wait until it says this among its errors."""
        until = time.monotonic() + ANSWER_S
        while text not in self._errors.read_text():
            assert time.monotonic() < until, self._errors.read_text()[-3000:]
            time.sleep(0.1)

    def ends(self) -> int:
        """Its exit status, when it ends by itself."""
        return self.process.wait(ANSWER_S)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """How an example of `docs/examples` is started; what it needs is fetched and built once."""
    made: dict[str, list[str]] = {}

    def command(example: str) -> list[str]:
        if example not in made:
            made[example] = _command(EXAMPLES / example, tmp_path_factory)
        return made[example]

    return command


def _command(example: Path, temporary: pytest.TempPathFactory) -> list[str]:
    if example.suffix == ".py":
        return [sys.executable, str(example)]
    folder = temporary.mktemp(example.stem)
    if example.suffix == ".java":
        class_path = java_classes(example, folder)
        return [JAVA, "-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", class_path, example.stem]
    for file in example.parent.glob("*.mjs"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "node_modules").symlink_to(node_modules(example.parent))
    return [NODE, str(folder / example.name)]


@pytest.fixture
def running(prepared: Callable[[str], list[str]], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts an example in a folder of its own; it is killed at the end of the block."""

    @contextmanager
    def start(example: str, environment: dict[str, str]) -> Iterator[Client]:
        folder = tmp_path / Path(example).stem
        folder.mkdir(exist_ok=True)
        errors = folder / "errors.txt"
        with ExitStack() as stack:
            process = stack.enter_context(
                subprocess.Popen(
                    prepared(example),
                    cwd=folder,
                    env={**os.environ, **environment},
                    stdout=subprocess.PIPE,
                    stderr=stack.enter_context(errors.open("a")),
                    text=True,
                )
            )
            stack.callback(process.kill)
            yield Client(process, errors)

    yield start
