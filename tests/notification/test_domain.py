"""Rules of notification, without I/O."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bad_input.catalogue import cases

from invoiceos_contracts import Amount
from notification.domain import mails
from notification.domain.addresses import classify
from notification.domain.deliveries import (
    Answer,
    Claim,
    Health,
    Outcome,
    Schedule,
    State,
    Verdict,
    follow,
    judge,
    retry_after_s,
)
from notification.domain.event_types import matches, unknown
from notification.domain.mails import MailClaim, MailOutcome, MailState, one_line, shown
from notification.domain.urls import Target, inspect

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SCHEDULE = Schedule((0, 5, 60, 300), disable_after_s=5 * 86_400)

# Written once, in the catalogue of bad input, where they are also tried over HTTP.
REFUSED_URLS = sorted(
    {
        case.sent.decode()
        for case in cases("webhook")
        if case.form == "text" and case.expected.startswith("422")
    }
)
ALLOWED_URLS = [
    "https://example.com/", "https://example.com", "https://hooks.example.co.uk/a/b?c=d&e=%20",
    "https://example.com:443/x", "https://8.8.8.8/", "https://[2606:4700:4700::1111]/",
    "https://xn--exmple-cua.com/", "https://EXAMPLE.com/Hook", "https://a.xn--p1ai/",
    "https://172.32.0.1/", "https://100.128.0.1/", "https://127.0.0.1.example.com/",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_inside_or_is_ambiguous_is_refused(url: str) -> None:
    assert isinstance(inspect(url, ()), str)


@pytest.mark.parametrize("url", ALLOWED_URLS)
def test_a_public_https_url_is_taken(url: str) -> None:
    assert isinstance(inspect(url, ()), Target)


def test_the_corpus_of_refused_urls_is_large() -> None:
    assert len(REFUSED_URLS) >= 200


def test_the_allow_list_names_hosts_exactly() -> None:
    allowed = {"127.0.0.1"}
    assert inspect("http://127.0.0.1:9000/x", allowed) == Target("127.0.0.1", 9000)
    assert isinstance(inspect("http://127.0.0.2:9000/x", allowed), str)
    assert isinstance(inspect("http://127.1:9000/x", allowed), str)
    assert isinstance(inspect("http://user@127.0.0.1:9000/x", allowed), str)


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    inspect(text, ())
    inspect(f"https://{text}", ())
    classify(text)


@given(st.ip_addresses(v=4))
def test_an_address_the_standard_library_calls_private_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert classify(str(address)) is not None


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}"]))
def test_an_ipv4_address_inside_an_ipv6_one_is_refused(address: IPv4Address, form: str) -> None:
    assert classify(form.format(address)) is not None


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_taken(address: IPv6Address) -> None:
    if classify(str(address)) is None:
        assert int(address) >> 125 == 1


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00::1"])
def test_public_addresses_are_taken(address: str) -> None:
    assert classify(address) is None
    assert ip_address(address)


def claim(attempt: int = 1, **more: Any) -> Claim:
    values: dict[str, Any] = {
        "tenant_id": uuid4(),
        "delivery_id": uuid4(),
        "endpoint_id": uuid4(),
        "event_id": uuid4(),
        "invoice_id": None,
        "attempt": attempt,
        "failing": False,
        "url": "https://example.com/",
        "secrets": (),
        "body": b"{}",
    }
    return Claim(**(values | more))


def outcome(attempt: int = 1, at: datetime = NOW, **answer: Any) -> Outcome:
    return Outcome(claim(attempt), at, 1, Answer(**answer))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(status: int) -> None:
    assert judge(outcome(status_code=status), SCHEDULE, 0) == Verdict(State.SUCCEEDED)


@pytest.mark.parametrize("status", [301, 302, 307, 408, 429, 500, 502, 503, 599, 100, 999])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert judge(outcome(status_code=status), SCHEDULE, 0).state is State.PENDING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 451])
def test_what_the_receiver_refuses_for_good_stops(status: int) -> None:
    verdict = judge(outcome(status_code=status), SCHEDULE, 0)
    assert (verdict.state, verdict.endpoint_gone) == (State.FAILED, False)


def test_gone_ends_the_endpoint() -> None:
    assert judge(outcome(status_code=410), SCHEDULE, 0).endpoint_gone


def test_the_schedule_is_followed_with_jitter_and_ends() -> None:
    waits = [judge(outcome(n, error="timeout"), SCHEDULE, 0).delay_s for n in (1, 2, 3)]
    assert waits == [5, 60, 300]
    assert judge(outcome(2, error="timeout"), SCHEDULE, 200).delay_s == 72
    assert judge(outcome(2, error="timeout"), SCHEDULE, -200).delay_s == 48
    assert judge(outcome(4, error="timeout"), SCHEDULE, 0).state is State.FAILED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("120", 120),
        ("99999999999999999999", 86_400),
        ("-5", 0),
        ("soon", 0),
        ("1e9", 0),
        ("²", 0),
        ("Fri, 20 Nov 2026 12:01:00 GMT", 60),
        ("Fri, 20 Nov 2020 12:01:00 GMT", 0),
        ("Fri, 20 Nov 9999 12:01:00 GMT", 86_400),
        ("Fri, 20 Nov 2026 12:01:00", 0),
    ],
)
def test_retry_after_is_read_and_bounded(header: str | None, seconds: int) -> None:
    assert retry_after_s(header, NOW) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_answered(header: str) -> None:
    assert 0 <= retry_after_s(header, NOW) <= 86_400


def health(**more: Any) -> Health:
    return Health(uuid4(), uuid4(), **({"enabled": True} | more))


def failed(at: datetime) -> tuple[Outcome, Verdict]:
    return outcome(at=at, error="timeout"), Verdict(State.PENDING, 5)


def test_health_counts_from_the_first_failure_after_a_success() -> None:
    success = (outcome(status_code=204), Verdict(State.SUCCEEDED))
    later = NOW + timedelta(days=1)
    after = follow(health(), [failed(NOW), success, failed(later)], SCHEDULE.disable_after_s)
    assert after.failing_since == later


def test_an_endpoint_is_given_up_after_its_time_and_not_before() -> None:
    start = health(failing_since=NOW)
    limit = timedelta(seconds=SCHEDULE.disable_after_s)
    almost = follow(start, [failed(NOW + limit - timedelta(seconds=1))], SCHEDULE.disable_after_s)
    over = follow(start, [failed(NOW + limit)], SCHEDULE.disable_after_s)
    assert (almost.enabled, over.enabled, over.disabled_reason) == (True, False, "failing")


def test_patterns_match_types() -> None:
    paid = "invoiceos.invoice.paid.v1"
    assert matches("*", paid)
    assert matches("invoiceos.invoice.*", paid)
    assert matches(paid, paid)
    assert not matches("invoiceos.invoice.paid", paid)
    assert not matches("invoiceos.inv.*", paid)
    assert not matches("invoiceos.invoic*", paid)
    assert unknown(("*", paid, "invoiceos.invoice.*")) == []
    strangers = ("invoiceos.nothing.*", "invoiceos.identity.tenant_created.v1", "**")
    assert unknown(strangers) == list(strangers)


def test_amounts_are_shown_by_the_exponent_of_their_asset() -> None:
    assert shown(Amount(amount_minor=1250, asset="USD")) == "12.50 USD"
    assert shown(Amount(amount_minor=1250, asset="JPY")) == "1250 JPY"
    assert shown(Amount(amount_minor=1_500_000, asset="PATHUSD")) == "1.500000 PATHUSD"
    assert shown(Amount(amount_minor=5, asset="NOSUCH")) == "5 minor units of NOSUCH"


@given(st.text())
def test_a_header_text_is_one_line(text: str) -> None:
    assert one_line(text).isprintable()


@given(st.lists(st.sampled_from(["=", "?", "\r", " ", "utf-8", "\x00", "a"]), max_size=20))
def test_a_header_text_holds_no_encoded_word(parts: list[str]) -> None:
    assert "=?" not in one_line("".join(parts))


def mail_outcome(state: MailState, attempt: int) -> MailOutcome:
    made = MailClaim(uuid4(), uuid4(), uuid4(), mails.INVOICE, attempt, {}, NOW, None)
    return MailOutcome(made, state)


def test_a_mail_is_tried_again_unless_it_was_sent_or_refused() -> None:
    delays = (0, 30, 120)
    ends = {state: mails.judge(mail_outcome(state, 1), delays).state for state in MailState}
    assert ends == {
        MailState.SENT: "sent",
        MailState.REFUSED: "failed",
        MailState.TRANSIENT: "pending",
        MailState.UNKNOWN: "pending",
        MailState.NOT_TRIED: "pending",
    }
    assert mails.judge(mail_outcome(MailState.NOT_TRIED, 1), delays).attempt == 0
    assert mails.judge(mail_outcome(MailState.TRANSIENT, 3), delays).state == "failed"
