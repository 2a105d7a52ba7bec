"""Money out of the treasury: once, or provably never, whatever is repeated, lost or reorganised."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_kit import settings_for

from invoiceos_local.chain import Node, dev_account
from invoiceos_local.tempo import Tempo as LocalChain
from provider_orchestrator.domain.adapters import Kind, Order, Status
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.providers.chain.client import RpcClient
from provider_orchestrator.providers.chain.keys import key_in
from provider_orchestrator.providers.tempo import payouts
from provider_orchestrator.providers.tempo.adapter import profile_of
from provider_orchestrator.providers.tempo.capabilities import capabilities
from provider_orchestrator.providers.tempo.payouts import Prepared
from provider_orchestrator.providers.tempo.treasury import TempoTreasury, treasury_of

ACCOUNT = dev_account(3)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "treasury.key"
    path.write_text(ACCOUNT.private_key + "\n")
    return path


@pytest.fixture
async def treasury(own_chain: LocalChain, key_file: Path) -> AsyncIterator[TempoTreasury]:
    async with opened(own_chain.rpc_url, key_file) as found:
        yield found


def opened(rpc_url: str, key_file: Path, **more: Any) -> Any:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def open_one() -> AsyncIterator[TempoTreasury]:
        chosen = settings_for(rpc_url, tempo_treasury_key_file=key_file, **more)
        signer = treasury_of(chosen)
        assert signer is not None
        async with RpcClient(rpc_url, timeout_s=5) as client:
            yield TempoTreasury(client, profile_of(chosen), signer)

    return open_one()


def an_order(**more: Any) -> Order:
    values: dict[str, Any] = {
        "kind": Kind.PAYOUT,
        "id": uuid4(),
        "tenant_id": uuid4(),
        "key": uuid4(),
        "amount_minor": 1_250_000,
        "asset": "PATHUSD",
        "created_at": datetime.now(UTC),
        "destination": {"address": str(Account.create().address)},
    }
    return Order(**(values | more))


def prepared(treasury: TempoTreasury, order: Order, now: datetime | None = None) -> Order:
    (made,) = treasury.prepare([order], now or datetime.now(UTC))
    return replace(order, prepared=made)


async def received(url: str, order: Order) -> int:
    async with Node(url) as node:
        token = "0x20c0000000000000000000000000000000000000"
        return await node.balance(token, order.destination["address"])


async def settled(treasury: TempoTreasury, order: Order) -> Any:
    async with asyncio.timeout(60):
        while (answer := await treasury.find(order)).status is not Status.SUCCEEDED:
            await asyncio.sleep(0.01)
    return answer


@pytest.mark.parametrize("kind", [Kind.PAYOUT, Kind.REFUND])
async def test_money_goes_out_once_however_often_it_is_sent(
    own_chain: LocalChain, treasury: TempoTreasury, kind: Kind
) -> None:
    order = prepared(treasury, an_order(kind=kind))
    answers = await asyncio.gather(*[treasury.send(order) for _ in range(4)])
    assert all(answer.outcome in {Outcome.OK, Outcome.UNKNOWN} for answer in answers)
    answer = await settled(treasury, order)
    await treasury.send(order)
    assert (answer.amount_minor, answer.asset) == (order.amount_minor, "PATHUSD")
    assert answer.fee_minor is not None
    assert 0 < answer.fee_minor < 20_000
    assert order.prepared is not None
    sent = Prepared.unpacked(order.prepared)
    assert answer.provider_reference == "0x" + sent.transaction_hash.hex()
    assert await received(own_chain.rpc_url, order) == order.amount_minor


async def test_what_was_not_sent_in_time_never_happened_and_never_can(
    own_chain: LocalChain, treasury: TempoTreasury
) -> None:
    order = prepared(treasury, an_order(), datetime.now(UTC) - timedelta(seconds=60))
    answer = await treasury.send(order)
    assert (answer.outcome, answer.cause) == (Outcome.UNKNOWN, "key_expired")
    async with Node(own_chain.rpc_url) as node:
        await node.call("anvil_mine", "0x1")
        assert order.prepared is not None
        with pytest.raises(Exception, match="valid_before"):
            raw = Prepared.unpacked(order.prepared).raw
            await node.call("eth_sendRawTransaction", "0x" + raw.hex())
    found = await treasury.find(order)
    assert (found.status, found.cannot_happen) == (Status.NOT_FOUND, True)
    assert await received(own_chain.rpc_url, order) == 0


async def test_absence_is_no_proof_before_the_window_is_over(treasury: TempoTreasury) -> None:
    order = prepared(treasury, an_order())
    found = await treasury.find(order)
    assert (found.status, found.cannot_happen) == (Status.NOT_FOUND, False)


async def test_a_reorganised_payout_is_sent_again_as_the_same_bytes(
    own_chain: LocalChain, key_file: Path
) -> None:
    async with (
        opened(own_chain.rpc_url, key_file, tempo_confirmations=2) as treasury,
        Node(own_chain.rpc_url) as node,
    ):
        order = prepared(treasury, an_order())
        await treasury.send(order)
        async with asyncio.timeout(60):
            while (await treasury.find(order)).status is not Status.PROCESSING:
                await asyncio.sleep(0.01)
        await node.call("anvil_reorg", 1, [])
        lost = await treasury.find(order)
        assert (lost.status, lost.cannot_happen) == (Status.NOT_FOUND, False)
        again = await treasury.send(order)
        assert again.outcome in {Outcome.OK, Outcome.UNKNOWN}
        await node.call("anvil_mine", "0x3")
        assert (await settled(treasury, order)).amount_minor == order.amount_minor
        assert await received(own_chain.rpc_url, order) == order.amount_minor


async def test_a_transfer_that_the_chain_refuses_has_failed_and_moved_nothing(
    own_chain: LocalChain, treasury: TempoTreasury
) -> None:
    order = prepared(treasury, an_order(amount_minor=2**100))
    answer = await treasury.send(order)
    assert answer.status is not Status.SUCCEEDED
    assert await received(own_chain.rpc_url, order) == 0


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"kind": Kind.COLLECT}, "not_supported"),
        ({"asset": "USDC"}, "asset_not_supported"),
        ({"amount_minor": 0}, "amount_out_of_range"),
        ({"destination": {}}, "destination_invalid"),
        ({"destination": {"address": "0x" + "00" * 20}}, "destination_invalid"),
        (
            {"destination": {"address": "0x20c0000000000000000000000000000000000000"}},
            "destination_invalid",
        ),
    ],
)
async def test_what_can_never_be_carried_out_is_refused_before_it_is_signed(
    treasury: TempoTreasury, change: dict[str, Any], cause: str
) -> None:
    order = prepared(treasury, an_order(**change))
    assert order.prepared is None
    answer = await treasury.send(order)
    assert (answer.outcome, answer.status, answer.cause) == (
        Outcome.OUR_FAULT,
        Status.FAILED,
        cause,
    )


async def test_a_node_that_is_away_leaves_the_outcome_unknown(key_file: Path) -> None:
    async with opened("http://127.0.0.1:1", key_file) as treasury:
        order = prepared(treasury, an_order())
        assert (await treasury.send(order)).outcome is Outcome.UNKNOWN
        assert (await treasury.find(order)).outcome is Outcome.UNKNOWN
        assert (await treasury.probe("tempo")).outcome is Outcome.INFRA


async def test_holdings_and_statement_show_what_moved(
    own_chain: LocalChain, treasury: TempoTreasury
) -> None:
    before = {one.asset: one.available_minor for one in await treasury.holdings()}
    order = prepared(treasury, an_order(amount_minor=77))
    await treasury.send(order)
    answer = await settled(treasury, order)
    after = {one.asset: one.available_minor for one in await treasury.holdings()}
    assert before["PATHUSD"] - after["PATHUSD"] == 77 + answer.fee_minor
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    lines = [
        line
        async for line in treasury.statement(begin, begin + timedelta(days=36500))
        if line.provider_reference == answer.provider_reference
    ]
    assert sorted(line.gross_minor for line in lines) == sorted([-77, -answer.fee_minor])
    assert {line.kind for line in lines} == {"payout", "fee"}


def test_only_who_has_the_key_can_send(own_chain: LocalChain, key_file: Path) -> None:
    without = settings_for(own_chain.rpc_url)
    assert treasury_of(without) is None
    assert capabilities(without)[0].operations == {"collect"}
    with_key = settings_for(own_chain.rpc_url, tempo_treasury_key_file=key_file)
    assert capabilities(with_key)[0].operations == {"collect", "refund", "payout"}


def test_the_key_is_never_shown(key_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = settings_for("http://127.0.0.1:1", tempo_treasury_key_file=key_file)
    secret = ACCOUNT.private_key[2:]
    with caplog.at_level(logging.DEBUG):
        shown = repr(treasury_of(chosen)) + repr(chosen) + chosen.model_dump_json()
    assert secret not in shown + caplog.text
    key_file.write_text(secret[:-1])
    with pytest.raises(ValueError, match="holds no key") as caught:
        key_in(key_file)
    assert secret[:-1] not in str(caught.value)


@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**40))
def test_what_is_stored_is_what_is_sent(raw: bytes, at: int) -> None:
    made = Prepared(raw, datetime.fromtimestamp(at % 2**33, UTC))
    assert Prepared.unpacked(made.packed()) == made


def test_the_window_is_shorter_than_the_protocol_allows(
    own_chain: LocalChain, key_file: Path
) -> None:
    signer = treasury_of(settings_for(own_chain.rpc_url, tempo_treasury_key_file=key_file))
    assert signer is not None
    now = datetime.now(UTC)
    made = payouts.prepare(an_order(), signer, now)
    assert made is not None
    assert timedelta(seconds=20) < made.valid_before - now < timedelta(seconds=30)
