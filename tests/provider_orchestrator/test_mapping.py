"""Logs to transfers, on logs as a node gives them."""

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_orchestrator.providers.chain import mapping
from provider_orchestrator.providers.chain.profile import Surroundings
from provider_orchestrator.providers.tempo import mapping as tempo

MASTER, GUARD = b"\xaa" * 20, b"\xb1\x0c" + bytes(18)
MASTER_ID = b"\x58\xe2\x10\x90"
VIRTUAL = MASTER_ID + b"\xfd" * 10 + b"\x01" * 6
TOKEN = tempo.TOKEN_PREFIX + bytes(8)
PAYER = b"\x0c" * 20
BLOCK, TRANSACTION = b"\x0a" * 32, b"\x0b" * 32


def log(
    sender: bytes,
    receiver: bytes,
    index: int,
    *,
    units: int = 5,
    memo: bytes | None = None,
    token: bytes = TOKEN,
) -> dict[str, Any]:
    topics = [mapping.TRANSFER, mapping.word(sender), mapping.word(receiver)]
    if memo is not None:
        topics = [mapping.TRANSFER_WITH_MEMO, *topics[1:], "0x" + memo.hex()]
    return {
        "address": "0x" + token.hex(),
        "topics": topics,
        "data": "0x" + units.to_bytes(32, "big").hex(),
        "blockNumber": "0xa",
        "blockHash": "0x" + BLOCK.hex(),
        "transactionHash": "0x" + TRANSACTION.hex(),
        "logIndex": hex(index),
    }


def read(*raw: dict[str, Any], guard: bytes | None = None) -> list[Any]:
    found = mapping.logs(list(raw), tempo.is_token)
    ends = {MASTER, guard}
    hops = tempo.hops(
        [one for one in found if one.receiver in ends], guard=guard, master_id=MASTER_ID
    )
    around = Surroundings(
        chain_id=1,
        assets={hop.token: "PATHUSD" for hop in hops},
        times={BLOCK: datetime(2026, 11, 20, tzinfo=UTC)},
        companions=found,
    )
    return tempo.transfers(hops, around, tempo.Ends(MASTER, guard, frozenset({TOKEN})))


def test_payer_and_memo_come_from_the_logs_before_the_hop() -> None:
    memo = secrets.token_bytes(32)
    (made,) = read(
        log(PAYER, VIRTUAL, 1), log(PAYER, VIRTUAL, 2, memo=memo), log(VIRTUAL, MASTER, 3)
    )
    assert (made.payer, made.memo, made.units, made.blocked) == (PAYER, memo, 5, False)


def test_a_transfer_that_ends_in_the_guard_is_blocked_and_only_ours_is_seen() -> None:
    foreign = b"\x01\x02\x03\x04" + VIRTUAL[4:]
    made = read(
        log(PAYER, VIRTUAL, 1),
        log(VIRTUAL, GUARD, 2),
        log(PAYER, foreign, 3),
        log(foreign, GUARD, 4),
        guard=GUARD,
    )
    assert [(one.address, one.blocked) for one in made] == [(VIRTUAL, True)]


def test_a_log_anyone_could_have_written_is_no_transfer() -> None:
    assert read(log(VIRTUAL, MASTER, 1, token=b"\x99" * 20)) == []
    assert read(log(PAYER, MASTER, 1)) == []
    assert read(log(VIRTUAL, MASTER, 1, units=0)) == []


def test_the_master_paying_itself_does_not_move_the_count_of_others() -> None:
    alone = read(log(PAYER, VIRTUAL, 1), log(VIRTUAL, MASTER, 2))
    moved = read(log(PAYER, VIRTUAL, 11), log(VIRTUAL, MASTER, 12))
    assert alone[0].payment_id == moved[0].payment_id


@pytest.mark.parametrize(
    "answer", [None, {}, [None], [{}], [{"topics": "x"}], [log(PAYER, MASTER, 1) | {"data": "0x"}]]
)
def test_nonsense_is_refused_as_nonsense(answer: Any) -> None:
    with pytest.raises(mapping.Senseless):
        mapping.logs(answer, tempo.is_token)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_no_answer_breaks_the_reader_in_another_way(answer: Any) -> None:
    for reader in (lambda one: mapping.logs(one, tempo.is_token), mapping.block):
        try:
            reader(answer)
        except ValueError:
            pass
    mapping.text(answer)


@given(st.binary(max_size=200))
def test_no_symbol_breaks_the_reader(raw: bytes) -> None:
    mapping.text("0x" + raw.hex())
