"""A tenant's own policy: which rails, in which order, and which mode where nothing else says so."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from rails_kit import open_tempo

from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.wallet_v1 import WalletFailed, WalletModeSelected, WalletReady
from testkit.service import ServiceUnderTest
from wallet_factory.commands.save_policies import NewPolicy, save_policies
from wallet_factory.domain.policy import WalletPolicy
from wallet_factory.domain.selector import Selector, select

Issuing = Callable[..., InvoiceIssuing]
OTHER_CHAIN_FIRST = WalletPolicy(rails=("evm-create2", "tempo"))


def a_policy(tenant: Any, policy: WalletPolicy) -> NewPolicy:
    return NewPolicy(tenant, policy, "the payers are there", "me")


async def test_a_tenant_has_its_wallets_on_the_rail_it_named_first(
    both: ServiceUnderTest, issuing: Issuing
) -> None:
    tenant = uuid4()
    await both.command(save_policies, a_policy(tenant, OTHER_CHAIN_FIRST))
    await both.receives(issuing(tenant_id=tenant), issuing())
    rails = {fact.tenant_id == tenant: fact for fact in await both.facts(WalletReady)}
    assert (rails[True].rail, rails[True].decision) == ("evm-create2", "tenant_order.v1")
    assert (rails[False].rail, rails[False].decision) == ("tempo", "configured_order.v2")
    kept = await both.worker.fetch("select policy_version, rail_rule from decision order by 1")
    assert [tuple(row) for row in kept] == [
        (1, "tenant_order.v1"),
        (None, "configured_order.v2"),
    ]


async def test_a_rail_that_the_policy_does_not_name_is_not_used(
    both: ServiceUnderTest, issuing: Issuing
) -> None:
    tenant = uuid4()
    await both.command(save_policies, a_policy(tenant, WalletPolicy(rails=("tempo",))))
    await both.receives(open_tempo())
    await both.receives(issuing(tenant_id=tenant), issuing())
    (failed,) = await both.facts(WalletFailed)
    assert (failed.tenant_id, failed.tried) == (tenant, ("tempo: unhealthy",))
    (ready,) = await both.facts(WalletReady)
    assert ready.rail == "evm-create2"


async def test_each_policy_is_a_version_and_the_last_one_counts(
    both: ServiceUnderTest, issuing: Issuing
) -> None:
    tenant, stranger = uuid4(), uuid4()
    saved = await both.command(
        save_policies,
        a_policy(tenant, OTHER_CHAIN_FIRST),
        a_policy(tenant, WalletPolicy(rails=("nowhere",))),
        a_policy(stranger, OTHER_CHAIN_FIRST),
        a_policy(tenant, WalletPolicy(mode="persistent")),
    )
    assert [getattr(one, "version", getattr(one, "code", None)) for one in saved] == [
        1,
        "rail_not_offered",
        1,
        2,
    ]
    await both.receives(issuing(tenant_id=tenant), issuing(tenant_id=tenant, mode="ephemeral"))
    said = await both.facts(WalletModeSelected)
    assert [(fact.mode, fact.rule) for fact in said] == [
        ("persistent", "tenant_policy.v1"),
        ("ephemeral", "issuer_preference.v1"),
    ]
    assert {fact.rail for fact in await both.facts(WalletReady)} == {"tempo"}


def test_a_tenants_own_small_amounts_go_before_the_platforms(issuing: Issuing) -> None:
    asked = issuing()
    policies = {asked.tenant_id: (3, WalletPolicy(small_amounts={"USD": 20_000}))}
    small = select(asked, Selector(small_amounts={"USD": 1}, policies=policies), 30)
    assert small.choice.rule == "small_one_off.v1"
    assert select(asked, Selector(small_amounts={"USD": 1}), 30).choice.rule == "one_off.v1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rails": ["tempo", "tempo"]},
        {"rails": ["Tempo"]},
        {"small_amounts": {"XYZ1": 5}},
        {"small_amounts": {"USD": -1}},
        {"mode": "other"},
        {"model": "always"},
    ],
)
def test_what_means_nothing_is_no_policy(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WalletPolicy.model_validate(wrong)


async def test_the_policy_is_written_and_read_over_http(
    unit: ServiceUnderTest, client: Any
) -> None:
    tenant = uuid4()
    before = (await client.get("/api/v1/wallets/policy", tenant)).json()
    assert (before["version"], before["rails_offered"]) == (0, ["tempo"])
    await unit.command(save_policies, a_policy(tenant, WalletPolicy(rails=("tempo",))))
    after = (await client.get("/api/v1/wallets/policy", tenant)).json()
    assert (after["version"], after["policy"]["rails"], after["note"]) == (
        1,
        ["tempo"],
        "the payers are there",
    )
    assert datetime.fromisoformat(after["created_at"]) <= datetime.now(UTC)
    assert (await client.get("/api/v1/wallets/policy", uuid4())).json()["version"] == 0
