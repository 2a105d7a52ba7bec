"""JSON read strictly, at every entrance by this one parser: requests, records, whatever comes.

Refused is what lenient parsers let through and what breaks programs later: NaN and infinities,
numbers that only an infinity could hold, keys given twice, lone surrogates, NUL, deep nesting,
anything but UTF-8.
"""

import json
from typing import Any, NoReturn

from pydantic_core import from_json

DEPTH_MAX = 32


class BadJson(ValueError):
    """The bytes are not the JSON we take."""


def parse(body: bytes) -> Any:
    """JSON text to Python; raises `BadJson`, never anything else."""
    try:
        # First a parser whose depth is bounded by itself: CPython's is bounded by the recursion
        # limit, and where something has raised that, deep nesting ends the process.
        from_json(body, allow_inf_nan=False, cache_strings=False)
        value = _DECODER.decode(body.decode("utf-8"))
    except BadJson:
        raise
    except (RecursionError, ValueError) as error:
        raise BadJson(str(error)[:200] if isinstance(error, ValueError) else "") from None
    # Only an escape can bring a NUL or a lone surrogate into text that was read as UTF-8, and
    # nothing is deeper than it has brackets: most bodies need not be walked through.
    if b"\\u" in body or body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        _check(value, 0)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("A key is given twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise BadJson(message)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadJson("A number is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_number
)


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        message = f"The body is nested more than {DEPTH_MAX} deep"
        raise BadJson(message)
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text or any(
        "\ud800" <= letter <= "\udfff" for letter in text if letter > "\ud7ff"
    ):
        raise BadJson("Text holds a NUL or half of a surrogate pair")
