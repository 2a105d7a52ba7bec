"""The rail of EVM chains: addresses that the factory itself computes, behind Tempo in the order."""

import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rails_kit import open_tempo, the_rail

from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.wallet_v1 import WalletReady, WalletSecretsDestroyed
from invoiceos_local import evm_facts as facts
from testkit.service import ServiceUnderTest
from wallet_factory.commands.register_factory import register_factory
from wallet_factory.domain.configured import rails_of
from wallet_factory.domain.create2 import SALT_HALF_BYTES, Create2Rail
from wallet_factory.domain.permutation import permute, place_of, places
from wallet_factory.errors import TagKeyChanged
from wallet_factory.settings import settings


@given(st.integers(0, places(SALT_HALF_BYTES) - 1), st.binary(min_size=32, max_size=32))
def test_every_salt_leads_back_to_its_place(place: int, key: bytes) -> None:
    salt = permute(key, place, SALT_HALF_BYTES)
    assert 0 <= salt < places(SALT_HALF_BYTES)
    assert place_of(key, salt, SALT_HALF_BYTES) == place


def test_the_address_follows_from_factory_implementation_and_salt_alone(two_rails: None) -> None:
    """What the factory on the local chain answers for this salt; tests/evm asks it again."""
    rail = the_rail()
    one = rail.address(0)
    assert one == the_rail().address(0)
    assert len({rail.address(place) for place in range(500)}) == 500
    assert rail.network == f"eip155/{facts.CHAIN_ID}"
    another = Create2Rail(1, facts.FACTORY, facts.IMPLEMENTATION, ("USDC",), os.urandom(32))
    assert another.address(0) != one


def test_two_chains_never_share_a_salt(two_rails: None) -> None:
    rail = the_rail()
    other = Create2Rail(
        rail.chain_id + 1, rail.factory, rail.implementation, ("USDC",), rail.salt_key
    )
    assert rail.salt(0) != other.salt(0)


def test_tempo_comes_first(two_rails: None) -> None:
    assert [rail.name for rail in rails_of(settings())] == ["tempo", "evm-create2"]


async def test_an_unwell_tempo_is_passed_over_for_the_next_rail(
    both: ServiceUnderTest, issuing: Callable[..., InvoiceIssuing]
) -> None:
    await both.receives(issuing())
    await both.receives(open_tempo())
    await both.receives(issuing(), issuing())
    ready = await both.facts(WalletReady)
    assert [fact.rail for fact in ready] == ["tempo", "evm-create2", "evm-create2"]
    first, second = ready[1:]
    assert (first.chain_id, first.accepted_assets) == (facts.CHAIN_ID, ("USDC",))
    assert {first.address, second.address} == {the_rail().address(0), the_rail().address(1)}
    assert {first.salt, second.salt} == {the_rail().salt(0), the_rail().salt(1)}
    assert ready[0].salt is None
    noted = await both.worker.fetch("select network from issued_address order by network")
    assert [row["network"] for row in noted] == [first_network(), first_network(), "tempo/31337"]


def first_network() -> str:
    return f"eip155/{facts.CHAIN_ID}"


async def test_the_same_request_many_times_takes_one_place(
    both: ServiceUnderTest, issuing: Callable[..., InvoiceIssuing]
) -> None:
    await both.receives(open_tempo())
    asked = issuing()
    for _ in range(3):
        await both.receives(asked)
    assert len(await both.facts(WalletReady)) == 1
    assert await both.worker.fetchval("select next_place from create2_factory") == 1


async def test_another_key_or_implementation_ends_the_start(both: ServiceUnderTest) -> None:
    rail = the_rail()
    values: dict[str, Any] = {
        "chain_id": rail.chain_id,
        "factory": rail.factory,
        "implementation": rail.implementation,
        "tokens": rail.tokens,
        "salt_key": rail.salt_key,
    }
    for change in ({"salt_key": os.urandom(32)}, {"implementation": "0x" + "11" * 20}):
        with pytest.raises(TagKeyChanged):
            async with both.worker.transaction() as tx:
                await register_factory(tx, Create2Rail(**(values | change)))


async def test_destruction_takes_the_derivation_and_keeps_the_salt(
    both: ServiceUnderTest, issuing: Callable[..., InvoiceIssuing]
) -> None:
    from wallet_factory.commands.destroy_secrets import destroy_secrets

    await both.receives(open_tempo())
    await both.receives(issuing(mode="ephemeral"))
    (ready,) = await both.facts(WalletReady)
    async with both.worker.transaction() as tx:
        await destroy_secrets(tx, {(ready.tenant_id, ready.wallet_id): uuid4()})
    (gone,) = await both.facts(WalletSecretsDestroyed)
    assert [item.what for item in gone.items] == [
        "memo salt",
        "salt derivation record (sequence number)",
    ]
    assert any("CREATE2 salt" in kept for kept in gone.kept)
    assert await both.worker.fetchval("select salt from wallet") == ready.salt
    assert await both.worker.fetchval("select count(*) from wallet_secret") == 0
