"""The posting templates against golden tables, and what a template must not be."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reserve_ledger.domain.addresses import code_of, own_address
from reserve_ledger.domain.catalogue import BadTemplate, Template, catalogue, fill, latest, read
from reserve_ledger.domain.chain import is_balanced
from reserve_ledger.domain.chart import CHART

GOLDEN = """
invoice_paid              applied=100 fee=3               1200 100, 2100 -97, 4100 -3
invoice_overpaid          applied=60 fee=2 excess=40      1200 100, 2100 -58, 4100 -2, 2500 -40
payment_unapplied         excess=9                        1200 9, 2500 -9
payment_conflicted        amount=9                        1900 9, 2900 -9
invoice_voided_reclass    applied=100 fee=3               2100 97, 4100 3, 2500 -100
voided_payment_reverted   amount=9                        2500 9, 1200 -9
invoice_voided_pending_reclass applied=100              2110 100, 2500 -100
voided_deposit_reverted   amount=9                        2500 9, 1210 -9
voided_capture_reverted   amount=9                        2500 9, 1300@provider:psp:clearing -9
deposit_received          applied=90 excess=10            1210 100, 2110 -90, 2500 -10
deposit_flushed           amount=100                      1200 100, 1210 -100
deposit_available         applied=90 fee=1                2110 90, 2100 -89, 4100 -1
network_fee_paid          amount=7                        5200 7, 1220 -7
dust_written_off          amount=7                        5400 7, 1210 -7
provider_captured         applied=90 excess=10            1300@provider:psp:clearing 100, 2110 -90, 2500 -10
provider_fee_known        amount=3                        5100 3, 1300@provider:psp:clearing -3
provider_fee_passed_on    amount=3                        2110 3, 1300@provider:psp:clearing -3
provider_fee_returned     amount=3                        1300@provider:psp:clearing 3, 5100 -3
provider_funds_available  applied=90 fee=1                2110 90, 2100 -89, 4100 -1
provider_payout_announced amount=50                       1310@provider:psp:transit 50, 1300@provider:psp:clearing -50
provider_payout_banked    amount=50                       1100 50, 1310@provider:psp:transit -50
provider_payout_failed    amount=50                       1300@provider:psp:clearing 50, 1310@provider:psp:transit -50
provider_payout_returned  amount=50                       1300@provider:psp:clearing 50, 1100 -50
duplicate_captured        amount=90                       1300@provider:psp:clearing 90, 2500 -90
payment_return_covered    available=40 fee=1 topup=0 pending=20 credit=30 2100 40, 4100 1, 5300 9, 2110 -20, 2500 -30
payment_return_covered    available=0 fee=0 topup=7 pending=0 credit=0 5300 7, 2100 -7
return_recovered          credit=30 pending=0 available=0 short=9 2500 30, 5300 -9, 2100 -21
return_recovered          credit=0 pending=0 available=9 short=9 2100 9, 5300 -9
failover_cost             amount=2                        5500 2, 1300@provider:psp:clearing -2
chargeback_opened         credit=10 pending=5 available=60 short=35 2500 10, 2110 5, 2100 60, 5300 35, 1300@provider:psp:clearing -110
chargeback_opened         credit=0 pending=0 available=100 short=0 2100 100, 1300@provider:psp:clearing -100
chargeback_fee            amount=15                       5100 15, 1300@provider:psp:clearing -15
refund_requested          credit=30 pending=20 available=70 2500 30, 2110 20, 2100 70, 2400 -120
refund_requested          credit=0 pending=0 available=70 2100 70, 2400 -70
refund_paid_on_chain      amount=70                       2400 70, 1200 -70
refund_paid_by_provider   amount=70                       2400 70, 1300@provider:psp:clearing -70
payout_requested          amount=70                       2100 70, 2300 -70
payout_paid_on_chain      amount=70                       2300 70, 1200 -70
payout_paid_by_bank       amount=70                       2300 70, 1100 -70
payout_paid_by_provider   amount=70                       2300 70, 1300@provider:psp:clearing -70
credit_applied            applied=50 fee=1                2500 50, 2100 -49, 4100 -1
escrow_held               amount=50                       2100 50, 2200@invoice:inv_1:escrow -50
escrow_released           amount=50                       2200@invoice:inv_1:escrow 50, 2100@merchant:available:shop -50
escrow_returned           amount=50                       2200@invoice:inv_1:escrow 50, 2400 -50
token_minted              amount=50                       1100 50, 2600 -50
token_burned              amount=50                       2600 50, 1100 -50
custody_minted            amount=50                       1110 50, 2600 -50
custody_burned            amount=50                       2600 50, 1110 -50
"""
LATEST = {"chargeback_opened": 2, "refund_requested": 2}
NAMES = {"provider": "psp", "invoice": "inv_1", "payee": "shop"}
ROWS = [re.split(r"\s{2,}|(?<=[0-9]) +(?=[0-9]{4}[ @])", row) for row in GOLDEN.strip().split("\n")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_a_template_posts_what_its_golden_row_says(row: list[str]) -> None:
    words = row[0].split()
    name, given = words[0], [*words[1:], *row[1].split()] if len(row) > 2 else words[1:]
    amounts = {pair.split("=")[0]: int(pair.split("=")[1]) for pair in given}
    wanted = latest(name).names
    template, legs = fill(name, "USD", amounts, {n: v for n, v in NAMES.items() if n in wanted})
    shown = [
        f"{leg.account}{f'@{leg.address}' if leg.address else ''} {leg.amount_minor}"
        for leg in legs
    ]
    assert ", ".join(shown) == row[-1]
    assert template == Template(name, LATEST.get(name, 1))
    assert is_balanced(legs)


def test_an_exchange_leaves_nothing_on_the_bridge_and_books_what_the_rate_left_over() -> None:
    for result in (2, -2, 0):
        _, legs = fill(
            "exchanged",
            {"sold_asset": "USD", "bought_asset": "EUR"},
            {"sold": 100, "bought": 90, "result": result},
        )
        net: dict[tuple[str, str], int] = {}
        for leg in legs:
            key = (leg.account, leg.asset)
            net[key] = net.get(key, 0) + leg.amount_minor
        assert net.pop(("6000", "USD")) == net.pop(("6000", "EUR")) == 0
        assert net.pop(("4200", "EUR"), 0) == -result
        assert net == {
            ("2100", "USD"): 100,
            ("1200", "USD"): -100,
            ("1200", "EUR"): 90 + result,
            ("2100", "EUR"): -90,
        }


def test_every_template_has_a_golden_row() -> None:
    named = {row[0].split()[0] for row in ROWS} | {"exchanged"}
    assert {template.name for template in catalogue()} == named


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_template_balances_whatever_it_is_filled_with(data: st.DataObject) -> None:
    names = sorted({template.name for template in catalogue()})
    template = latest(data.draw(st.sampled_from(names)))
    amounts = {name: data.draw(st.integers(1, 10**15)) for name in sorted(template.variables)}
    assets = dict.fromkeys(template.assets, "USD")
    _, legs = fill(
        template.id.name, assets, amounts, {name: NAMES[name] for name in template.names}
    )
    assert is_balanced(legs)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('["debit 1200 a", "credit 2100 b"]', "balance"),
        ('["debit 1200 a + b", "credit 2100 a"]', "balance"),
        ('["debit 1200 a in x", "credit 2100 a in y"]', "balance"),
        ('["debit 1200 a", "credit 9999 a"]', "neither"),
        ('["debit 1200 a", "credit Nobody a"]', "neither"),
        ('["debit 1200 a", "take 2100 a"]', "no line"),
        ('["debit 1200 5", "credit 2100 5"]', "no line"),
    ],
)
def test_a_template_that_is_wrong_is_not_read(lines: str, reason: str) -> None:
    text = f'[[template]]\nname = "x"\nversion = 1\nsays = "X."\nlines = {lines}'
    with pytest.raises(BadTemplate, match=reason):
        read(text)


def test_a_version_is_there_once_and_what_is_missing_is_refused() -> None:
    text = '[[template]]\nname = "x"\nversion = 1\nsays = "X."\nlines = ["debit 1200 a", "credit 2100 a"]\n'
    with pytest.raises(BadTemplate, match="twice"):
        read(text * 2)
    with pytest.raises(BadTemplate, match="asks for"):
        fill("invoice_paid", "USD", {"applied": 5})
    with pytest.raises(BadTemplate, match="no template"):
        fill("nothing", "USD", {})
    with pytest.raises(BadTemplate, match="no address"):
        fill("provider_fee_known", "USD", {"amount": 5}, {"provider": "Bad Name"})


def test_every_code_has_an_address_of_its_own_that_leads_back_to_it() -> None:
    assert all(code_of(own_address(code)) == code for code in CHART)
    assert len({account.address for account in CHART.values()}) == len(CHART)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("merchant:available:shop-7", "2100"),
        ("merchant:available:shop:till:3", "2100"),
        ("provider:stripe:clearing", "1300"),
        ("provider:stripe:transit", "1310"),
        ("invoice:inv_01abc:escrow", "2200"),
        ("payer:cus_1", "2500"),
        ("merchant", None),
        ("merchant:available:", None),
        ("Merchant:available", None),
        ("merchant:available:ä", None),
        ("merchant:available:a b", None),
        ("nobody:knows", None),
        ("merchant:available:" + "a" * 65, None),
        ("merchant:available" + ":a" * 7, None),
        ("merchant:available:a\n", None),
        ("", None),
    ],
)
def test_an_address_belongs_to_one_code_or_to_none(address: str, code: str | None) -> None:
    assert code_of(address) == code
