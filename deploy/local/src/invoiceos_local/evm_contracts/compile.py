"""Compiles the contracts; what comes of it is checked in, and a test compiles again and compares.

`python -m invoiceos_local.evm_contracts.compile` writes; it needs `vyper`, for development.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
COMPILED = FOLDER / "compiled.json"
NAMES = ("deposit_wallet", "deposit_factory", "dev_token")


def compiled() -> dict[str, dict[str, Any]]:
    """Creation code and interface of each contract, from its source."""
    compile_code = import_module("vyper").compile_code
    return {name: _one(compile_code, name) for name in NAMES}


def _one(compile_code: Any, name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.vy"
    made = compile_code(
        path.read_text(),
        contract_path=path.name,
        output_formats=["bytecode", "bytecode_runtime", "abi"],
    )
    return {"bytecode": made["bytecode"], "runtime": made["bytecode_runtime"], "abi": made["abi"]}


def main() -> None:
    COMPILED.write_text(json.dumps(compiled(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
