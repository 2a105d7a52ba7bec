"""The catalogue itself: large, without two cases of one name."""

from collections import Counter

from tests.bad_input.catalogue import CASES, DOORS, cases
from tests.bad_input.tokens import TABLE

EVERY = [case for door in DOORS for case in cases(door)]


def test_it_holds_hundreds_of_named_cases():
    assert len({(case.table, case.title) for case in EVERY}) + len(TABLE) >= 800
    assert {door: len(cases(door)) >= 200 for door in DOORS} == dict.fromkeys(DOORS, True)


def test_no_two_cases_have_one_name():
    twice = [name for name, count in Counter(case.name for case in EVERY).items() if count > 1]
    assert twice == []


def test_no_two_cases_of_a_table_send_the_same():
    """Beside those that leave something out or give it again: these send what the place says."""
    sent = Counter((case.table, case.place, case.form, case.sent) for case in EVERY if case.sent)
    assert [key for key, count in sent.items() if count > 1] == []


def test_every_table_says_what_it_is_about():
    for path in CASES.glob("*.toml"):
        assert path.read_text().startswith('about = "'), path.name
