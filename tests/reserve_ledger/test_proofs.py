"""What is owed is proved: every holder's path leads to the root, and an altered leaf's does not."""

import importlib.util
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from invoiceos_contracts.ledger_v1 import ReserveLiabilitiesProved
from messaging import Tx
from reserve_ledger.commands.prove_liabilities import prove_liabilities
from reserve_ledger.domain.liabilities import leaf_node
from reserve_ledger.queries import proofs
from testkit.service import ServiceUnderTest

SCRIPT = Path(__file__).parents[2] / "docs/examples/reserves/verify_inclusion.py"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("verify_inclusion", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_each_holder_has_a_path_that_a_script_of_the_standard_library_checks(
    ledger: ServiceUnderTest, payer: Any, new_payer: Any, script: Any
) -> None:
    other = new_payer()
    for n in range(5):
        await ledger.receives(payer.succeeded(Tx.new_id(), 10_000_000 + n))
    await ledger.receives(other.succeeded(Tx.new_id(), 77), payer.succeeded(Tx.new_id(), 3))
    async with ledger.worker.transaction() as tx:
        assert await prove_liabilities(tx, HOUR) == 1
    async with ledger.worker.transaction() as tx:
        assert await prove_liabilities(tx, HOUR) == 0
    (said,) = await ledger.facts(ReserveLiabilitiesProved)
    seen = 0
    for tenant in (payer.tenant_id, other.tenant_id):
        async with ledger.api.transaction([tenant]) as tx:
            root = (await proofs.proof(tx, said.proof_id)).model_dump(mode="json")
            mine = await proofs.leaves(
                tx, tenant, said.proof_id, invoice_id=None, after=-1, limit=50
            )
        for view in mine:
            leaf = view.model_dump(mode="json")
            assert script.findings(leaf, root) == []
            assert script.is_signed(root, root["public_key"])
            altered = {**leaf, "balance_minor": leaf["balance_minor"] + 1}
            assert "the path does not lead to the root" in script.findings(altered, root)
            seen += leaf["balance_minor"]
    assert seen == said.total_minor == root["total_minor"]
    assert not script.is_signed({**root, "total_minor": seen + 1}, root["public_key"])
    assert root["root"] == said.root
    assert root["leaf_count"] == said.leaf_count == 8


def test_nobody_is_owed_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        leaf_node("anybody", -1, b"s" * 16)
