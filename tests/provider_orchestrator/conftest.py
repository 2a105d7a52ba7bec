"""A chain, an orchestrator on a database of its own, and wallets that are ready."""

import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chassis.settings import load
from invoiceos_local.evm import Evm
from invoiceos_local.processes import Processes
from invoiceos_local.tempo import Tempo as LocalChain
from provider_orchestrator.settings import EvmChain
from testkit.databases import ServiceDatabase

# In importlib mode a test folder is not on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

from orchestrator_kit import NOWHERE, Orchestrator, orchestrator, settings_for


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What subscribers and routes read when they ask for the settings of the process."""
    chosen = settings_for("http://127.0.0.1:1")
    for name in ("tempo_rpc_url", "tempo_chain_id", "tempo_master_address", "tempo_tokens"):
        monkeypatch.setenv(f"INVOICEOS_{name.upper()}", str(getattr(chosen, name)))
    monkeypatch.setenv("INVOICEOS_ENVIRONMENT", "test")
    monkeypatch.setenv("INVOICEOS_DATABASE_API_URL", NOWHERE)
    monkeypatch.setenv("INVOICEOS_DATABASE_WORKER_URL", NOWHERE)
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture(scope="session")
def shared_place(make_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    return make_database("provider_orchestrator")


@pytest.fixture
def place(shared_place: ServiceDatabase) -> ServiceDatabase:
    """An empty database: one for all, emptied before each test, for dropping one takes a second."""
    with psycopg.connect(shared_place.admin_url, autocommit=True) as connection:
        found = connection.execute(
            "select format('%%I.%%I', schemaname, tablename) from pg_tables"
            " where schemaname = %s and tablename not like '%%yoyo%%'",
            [shared_place.schema],
        ).fetchall()
        connection.execute("truncate " + ", ".join(name for (name,) in found))
    return shared_place


@pytest.fixture
async def running(infra: Any, place: ServiceDatabase) -> AsyncIterator[Orchestrator]:
    """On the chain everybody shares, from its present head on."""
    settings = settings_for(infra.tempo_rpc_url)
    async with orchestrator(place, settings) as started:
        await started.sweep()
        yield started


@pytest.fixture(scope="module")
def own_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    """A chain that one module may reorganise, stop and start."""
    processes = Processes(tmp_path_factory.mktemp("tempo"))
    chain = LocalChain(processes)
    chain.start()
    # No test may reorganise the master's registration away.
    with urllib.request.urlopen(
        urllib.request.Request(
            chain.rpc_url,
            json.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "anvil_mine", "params": ["0x10"]}
            ).encode(),
            {"Content-Type": "application/json"},
        )
    ) as answer:
        assert "error" not in json.load(answer)
    yield chain
    chain.stop()
    processes.stop_all()


@pytest.fixture
async def alone(own_chain: LocalChain, place: ServiceDatabase) -> AsyncIterator[Orchestrator]:
    """On a chain of the module's own."""
    settings = settings_for(own_chain.rpc_url)
    async with orchestrator(place, settings) as started:
        await started.sweep()
        yield started


@pytest.fixture(scope="session")
def evm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evm]:
    """A chain by Ethereum's rules that these tests may reorganise."""
    processes = Processes(tmp_path_factory.mktemp("evm"))
    chain = Evm(processes)
    chain.start()
    yield chain
    chain.stop()
    processes.stop_all()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[[EvmChain], EvmChain]:
    """Makes a chain one of those that subscribers and routes know."""

    def configure(chain: EvmChain) -> EvmChain:
        monkeypatch.setenv("INVOICEOS_EVM_CHAINS", f"[{chain.model_dump_json()}]")
        load.cache_clear()
        return chain

    return configure
