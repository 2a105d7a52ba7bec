"""What is checked in is what the compiler makes of the sources."""

import json

from eth_utils.crypto import keccak

from invoiceos_local.evm_contracts.compile import COMPILED, compiled
from provider_orchestrator.providers.evm_create2 import sweeping


def test_the_compiled_contracts_are_those_of_the_sources() -> None:
    assert compiled() == json.loads(COMPILED.read_text())


def test_the_orchestrator_calls_and_reads_the_factory_by_its_interface() -> None:
    abi = json.loads(COMPILED.read_text())["deposit_factory"]["abi"]
    signatures = {
        one["name"]: f"{one['name']}({','.join(kind['type'] for kind in one['inputs'])})"
        for one in abi
        if one["type"] in {"function", "event"}
    }
    assert keccak(text=signatures["flush"])[:4] == sweeping.FLUSH
    assert "0x" + keccak(text=signatures["Swept"]).hex() == sweeping.SWEPT
