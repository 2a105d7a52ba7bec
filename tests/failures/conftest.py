import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from chassis import topics
from invoiceos_local.resolver import Infrastructure
from messaging import Database, KafkaAccess
from testkit.databases import ServiceDatabase
from testkit.processes import ToyProcess


@pytest.fixture(scope="session")
async def broker(infra: Infrastructure) -> str:
    await topics.create(KafkaAccess(infra.kafka_bootstrap))
    return infra.kafka_bootstrap


@pytest.fixture
def place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("toy_service")


@pytest.fixture
async def database(place: ServiceDatabase) -> AsyncIterator[Database]:
    opened = await Database.open(place.url("worker"), place.schema, size=4)
    yield opened
    await opened.close()


@pytest.fixture
def toy_process(
    place: ServiceDatabase, infra: Infrastructure, broker: str, tmp_path: Path
) -> Iterator[Callable[[], ToyProcess]]:
    made: list[ToyProcess] = []
    group = f"toy-{uuid.uuid4().hex[:8]}"

    def make() -> ToyProcess:
        made.append(ToyProcess(place, infra, tmp_path, group))
        return made[-1]

    yield make
    for process in made:
        process.stop()
