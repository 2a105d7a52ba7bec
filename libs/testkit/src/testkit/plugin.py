"""Pytest fixtures: the real broker, database and chain, whoever provides them.

Started once a session (by the first worker under xdist, under a file lock) and shared by address.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from chassis.settings import load
from invoiceos_local.resolver import Choices, Infrastructure, infrastructure
from testkit import routes
from testkit.databases import ServiceDatabase, create_database

if TYPE_CHECKING:
    from testkit.secured import SecuredKafka

_ADDRESSES = {
    "INVOICEOS_KAFKA_BOOTSTRAP": "kafka_bootstrap",
    "INVOICEOS_POSTGRES_URL": "postgres_url",
    "INVOICEOS_TEMPO_RPC_URL": "tempo_rpc_url",
    "INVOICEOS_SMTP_URL": "smtp_url",
    "INVOICEOS_MAIL_API_URL": "mail_api_url",
}
_KEY = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Under xdist the controller starts what the workers share, and hands the addresses down."""
    # structlog's default draws coloured tracebacks with every local: a second each.
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ]
    )
    # A folder alone is as well off as all of them: production asks for more.
    os.environ.setdefault("INVOICEOS_ENVIRONMENT", "test")
    routes.remember()
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    if getattr(config.option, "numprocesses", None):
        stack = ExitStack()
        folder = Path(config.rootpath) / ".local" / f"tests-{uuid.uuid4().hex[:8]}"
        _export(stack.enter_context(_start(folder)))
        config.stash[_KEY] = stack


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what `pytest_configure` started."""
    stack = config.stash.get(_KEY, None)
    if stack is not None:
        stack.close()


def _start(folder: Path) -> AbstractContextManager[Infrastructure]:
    # The server lives as long as the run: nothing has to survive a power cut.
    return infrastructure(
        folder, needs={"kafka", "postgres", "tempo", "smtp"}, choices=Choices(fsync=False)
    )


def _export(infra: Infrastructure) -> None:
    for name, field in _ADDRESSES.items():
        value = getattr(infra, field, None)
        if value:
            os.environ[name] = value


_LONGEST_FIRST = (
    "journeys",
    "bad_input",
    "failures",
    "partner_clients",
    "simulator",
    "provider_sandbox",
)


def _folder(nodeid: str) -> str:
    return nodeid.split("/")[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that two workers end at about the same time."""
    order = {folder: place for place, folder in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(_folder(item.nodeid), len(order)))


_GIVEN = pytest.StashKey[dict[str, str]]()
_AT = pytest.StashKey[str]()


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("INVOICEOS_")}


def _set(settings: dict[str, str]) -> None:
    for name in _settings().keys() - settings.keys():
        del os.environ[name]
    os.environ.update(settings)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A folder begins with the settings of the run, and with none that another folder left.

    Fixtures of a session end with the session, long after the last test that asked for them.
    """
    stash, folder = item.config.stash, _folder(item.nodeid)
    given = stash.setdefault(_GIVEN, _settings())
    if stash.get(_AT, folder) != folder:
        _set(given)
        load.cache_clear()
    stash[_AT] = folder


class _ByFolder(LoadScopeScheduling):  # type: ignore[misc] # xdist is not typed
    """A folder of tests stays on one worker: it shares one stack, one set of pools.

    xdist's own `loadgroup` does not see its groups under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _folder(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give out the tests by folder."""
    config.option.loadscopereorder = False
    return _ByFolder(config, log)


@pytest.fixture(scope="session")
def infra(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Infrastructure]:
    """Kafka, PostgreSQL, a Tempo chain and a mail sink; addresses in the environment win.

    Those of the run, that is: the folder that asks first may have set some that lead nowhere.
    """
    of_the_folder = _settings()
    _set(request.config.stash[_GIVEN])
    with _start(tmp_path_factory.mktemp("infrastructure")) as started:
        _set(of_the_folder)
        yield started


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SecuredKafka"]:
    """A broker of its own that asks its clients who they are; topics, users and rights are made."""
    from testkit.secured import running_secured_kafka

    with running_secured_kafka(tmp_path_factory.mktemp("secured")) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def make_database(infra: Infrastructure) -> Iterator[Callable[[str], ServiceDatabase]]:
    """Makes an empty, migrated database of a service; each is dropped at the end."""
    made: list[ServiceDatabase] = []

    def make(schema: str) -> ServiceDatabase:
        database = create_database(infra.postgres_url, schema)
        made.append(database)
        return database

    yield make
    for database in made:
        database.drop()


def pretty(value: object) -> str:
    """A value as indented JSON, for messages of failed assertions."""
    return json.dumps(value, indent=2, default=str)
