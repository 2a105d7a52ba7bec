"""What lenient parsers let through is refused; depth never costs the process its life."""

import sys

import pytest

from chassis.problems import BadBody
from chassis.strict_json import parse

BAD = {
    "NaN": b'{"a": NaN}',
    "infinity": b"[Infinity]",
    "number beyond floats": b"[1e400]",
    "key twice": b'{"a": 1, "a": 2}',
    "key twice inside": b'[{"x": {"a": 1, "a": 2}}]',
    "lone surrogate": b'["\\ud800"]',
    "NUL": b'["\\u0000"]',
    "NUL in a key": b'{"\\u0000": 1}',
    "trailing data": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'["\xff"]',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "deep": b"[" * 40 + b"]" * 40,
    "deeper": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "half": b'{"a":',
    "nothing": b" ",
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_strict_json_is_refused(case):
    with pytest.raises(BadBody):
        parse(BAD[case])


@pytest.mark.parametrize("case", ["deeper", "deep objects"])
def test_depth_is_refused_even_where_the_recursion_limit_was_raised(case):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(BadBody):
            parse(BAD[case])
    finally:
        sys.setrecursionlimit(before)


def test_good_json_is_read_as_it_is():
    body = '{"a": [1, -2.5, true, null, "é \\ud83d\\ude00"], "b": {"c": "x"}}'.encode()
    assert parse(body) == {"a": [1, -2.5, True, None, "é 😀"], "b": {"c": "x"}}
