"""What is checked in is what the compiler makes of the sources."""

import json

from invoiceos_local.evm_contracts.compile import COMPILED, compiled


def test_the_compiled_contracts_are_those_of_the_sources() -> None:
    assert compiled() == json.loads(COMPILED.read_text())
