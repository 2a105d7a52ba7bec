"""The permutation, the address, the memo and the rules."""

import hashlib
import hmac
import os
from itertools import pairwise
from uuid import uuid4

import pytest
from eth_utils.address import is_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from invoiceos_contracts import encode
from invoiceos_contracts.base import WalletMode
from invoiceos_contracts.invoice_v1 import SelectorInput, WalletPreference
from wallet_factory.domain.health import Circuit, unwell
from wallet_factory.domain.mode import RULES, choose_mode
from wallet_factory.domain.permutation import permute, place_of
from wallet_factory.domain.psp import PspRail
from wallet_factory.domain.rails import Skipped, choose_rail
from wallet_factory.domain.tempo import TAG_HALF_BYTES as HALF
from wallet_factory.domain.tempo import TAGS, TempoRail
from wallet_factory.domain.wallet import memo_of

KEY = bytes(range(32))
PLACES = st.integers(0, TAGS - 1)


def rail(**changes: object) -> TempoRail:
    values = {
        "chain_id": 31337,
        "master_address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "master_id": "58e21090",
        "tokens": ("PATHUSD", "ALPHAUSD"),
        "tag_key": KEY,
    }
    return TempoRail(**(values | changes))


@given(PLACES, st.binary(min_size=32, max_size=32))
def test_every_tag_leads_back_to_its_place(place: int, key: bytes) -> None:
    tag = permute(key, place, HALF)
    assert 0 <= tag < TAGS
    assert place_of(key, tag, HALF) == place


@given(PLACES, st.binary(min_size=32, max_size=32))
def test_every_tag_is_reached_from_some_place(tag: int, key: bytes) -> None:
    assert permute(key, place_of(key, tag, HALF), HALF) == tag


@pytest.mark.parametrize("outside", [-1, TAGS])
def test_a_place_outside_the_master_is_refused(outside: int) -> None:
    with pytest.raises(ValueError, match="places"):
        permute(KEY, outside, HALF)
    with pytest.raises(ValueError, match="value"):
        place_of(KEY, outside, HALF)


def test_ten_thousand_addresses_are_unique_well_formed_and_without_order() -> None:
    tempo = rail()
    addresses = [tempo.address(place) for place in range(10_000)]
    assert len(set(addresses)) == 10_000
    assert all(is_checksum_address(a) for a in addresses[:200])
    assert all(a[:30].lower() == "0x58e21090" + "fd" * 10 for a in addresses)
    tags = [int(a[30:], 16) for a in addresses]
    rising = sum(left < right for left, right in pairwise(tags))
    assert 4_700 < rising < 5_300, "a counter's neighbours tell nothing about each other"
    assert len({tag >> 40 for tag in tags}) == 256, "spread over the whole space"


def test_another_key_gives_other_addresses() -> None:
    other = rail(tag_key=b"\x01" * 32)
    mine = {rail().address(place) for place in range(1000)}
    assert mine.isdisjoint(other.address(place) for place in range(1000))
    assert rail().tag_key_fingerprint != other.tag_key_fingerprint
    assert KEY.hex() not in repr(rail())


def test_a_memo_commits_to_the_invoice_under_its_salt_alone() -> None:
    salt, invoice = os.urandom(32), uuid4()
    expected = hmac.new(salt, encode("inv", invoice).encode(), hashlib.sha256).hexdigest()
    assert memo_of(salt, invoice) == f"0x{expected}"
    assert memo_of(os.urandom(32), invoice) != memo_of(salt, invoice)


@pytest.mark.parametrize(
    ("asked", "wish", "mode", "rule"),
    [
        ({}, None, "ephemeral", "one_off.v1"),
        ({"payer_known": True}, None, "ephemeral", "payer_known.v1"),
        ({"bulk_size": 500}, None, "ephemeral", "one_off.v1"),
        ({"recurring": True}, None, "persistent", "recurring.v1"),
        ({"recurring": True}, "ephemeral", "ephemeral", "issuer_preference.v1"),
        ({}, "persistent", "persistent", "issuer_preference.v1"),
        ({"instalments": 3}, "ephemeral", "persistent", "instalments.v1"),
        ({}, "hybrid", "ephemeral", "one_off.v1"),
    ],
)
def test_the_first_rule_that_applies_decides_and_says_why(
    asked: dict[str, object], wish: str | None, mode: str, rule: str
) -> None:
    preference = WalletPreference(mode=wish, ttl_s=60, watch_window_s=60)
    choice = choose_mode(SelectorInput(**asked), preference)
    assert (choice.mode, choice.rule) == (mode, rule)
    assert choice.reasons[0] == next(r.reason for r in RULES if r.name == rule)
    assert (len(choice.reasons) == 2) == (wish is not None and wish != mode)


def test_rules_have_names_of_their_own_and_versions() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(name.rpartition(".v")[2].isdigit() for name in names)


TEMPO_DOWN = Circuit("tempo", "tempo", "", is_open=True)
PSP = PspRail({"stripe": ("USD", "EUR"), "paypal": ("USD",)})


def test_the_first_rail_that_is_well_and_serves_is_taken() -> None:
    euros = rail(name="euros", tokens=("EURC",))
    second = rail(name="second")
    choice = choose_rail([euros, rail(), second], [TEMPO_DOWN], "USD", WalletMode.EPHEMERAL)
    assert choice.rail is second
    assert choice.skipped == (
        Skipped("euros", "asset_not_accepted"),
        Skipped("tempo", "unhealthy", "tempo"),
    )


def test_without_a_rail_the_reason_is_theirs_where_they_agree() -> None:
    assert choose_rail([rail()], [], "EUR", WalletMode.EPHEMERAL).failure == "asset_not_accepted"
    assert choose_rail([rail()], [TEMPO_DOWN], "USD", WalletMode.EPHEMERAL).failure == "unhealthy"
    both = choose_rail(
        [rail(name="euros", tokens=("EURC",)), rail()], [TEMPO_DOWN], "USD", WalletMode.EPHEMERAL
    )
    assert both.failure == "no_rail_available"


def test_a_token_of_another_currency_or_an_unknown_asset_is_not_accepted() -> None:
    assert rail().accepts("USD") == ("PATHUSD", "ALPHAUSD")
    assert rail().accepts("PATHUSD") == ("PATHUSD", "ALPHAUSD")
    assert rail().accepts("EUR") == ()
    assert rail().accepts("XXQ") == ()


def down(provider: str, rail_name: str = "card", currency: str = "") -> Circuit:
    return Circuit(provider, rail_name, currency, is_open=True)


@pytest.mark.parametrize(
    ("circuits", "found"),
    [
        ([], None),
        ([down("stripe")], None),
        ([down("stripe"), down("paypal", "wallet")], "stripe, paypal"),
        ([down("stripe"), down("paypal", "wallet", "EUR")], None),
        ([down("stripe"), down("paypal", "wallet", "USD")], "stripe, paypal"),
        ([down("stripe"), Circuit("stripe", "bank", "", is_open=False), down("paypal")], None),
        ([down("adyen"), down("circle")], None),
    ],
)
def test_the_rail_of_providers_is_well_while_one_of_them_is(
    circuits: list[Circuit], found: str | None
) -> None:
    assert unwell(PSP, PSP.name, "USD", circuits) == found


def test_a_rail_is_unwell_in_the_currency_whose_circuit_is_open_alone() -> None:
    news = [down("tempo", "tempo", "USD")]
    assert unwell(rail(), "tempo", "PATHUSD", news) == "tempo"
    assert unwell(rail(), "tempo", "EURC", news) is None


def test_providers_take_what_they_are_configured_for_in_the_invoices_currency() -> None:
    assert PSP.accepts("USD") == PSP.accepts("PATHUSD") == ("USD",)
    assert (PSP.providers("EUR"), PSP.providers("JPY")) == (("stripe",), ())
    assert PSP.serves("JPY", WalletMode.EPHEMERAL) == "asset_not_accepted"
