"""`python -m invoiceos_contracts`: what partners run in their own CI."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from invoiceos_contracts import EVENTS
from invoiceos_contracts.compatibility import breaks
from invoiceos_contracts.partner_v1 import InvoiceRequest


def problems_of(message: Any) -> Iterator[str]:
    """What is wrong with a message; nothing where it is one that the platform could have sent.

    A request is judged as strictly as at the door: a field it does not know is refused.
    """
    if not isinstance(message, dict):
        yield "not an object"
        return
    kind = message.get("type") or message.get("headers", {}).get("ce_type")
    body = json.dumps(message.get("data", message.get("value"))).encode()
    try:
        if kind == InvoiceRequest.TYPE:
            InvoiceRequest.model_validate_json(body)
        elif kind in EVENTS:
            EVENTS[kind].read(body)
        else:
            yield f"no event has the type {kind!r}"
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = "/".join(("", *map(str, problem["loc"])))
            yield f"{place or 'the body'}: {problem['msg']}"


def check(files: list[Path]) -> int:
    """Look at messages, one a file; the number of files that hold a wrong one."""
    wrong = 0
    for file in files:
        try:
            found = list(problems_of(json.loads(file.read_bytes())))
        except (OSError, ValueError) as error:
            found = [str(error)]
        wrong += bool(found)
        print("\n".join(f"{file}: {problem}" for problem in found) or f"{file}: ok")  # noqa: T201
    return wrong


def compare(old: Path, new: Path) -> int:
    """Compare two copies of `events.json`; the number of changes that would break a reader."""
    before, after = (json.loads(path.read_bytes()) for path in (old, new))
    found = [f"{name}: gone" for name in before.keys() - after.keys()]
    for name in before.keys() & after.keys():
        found += [
            f"{name} {text}" for text in breaks(before[name]["schema"], after[name]["schema"])
        ]
    for name in sorted(after.keys() - before.keys()):
        print(f"{name}: new")  # noqa: T201
    print("\n".join(sorted(found)) or "nothing breaks")  # noqa: T201
    return len(found)


def main() -> int:
    """Run the command; 0 where nothing is wrong."""
    parser = argparse.ArgumentParser("invoiceos_contracts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checked = commands.add_parser("check", help="look at messages, one a file")
    checked.add_argument("files", nargs="+", type=Path)
    compared = commands.add_parser("compare", help="two copies of events.json")
    compared.add_argument("old", type=Path)
    compared.add_argument("new", type=Path)
    chosen = parser.parse_args()
    if chosen.command == "check":
        return min(check(chosen.files), 1)
    return min(compare(chosen.old, chosen.new), 1)


if __name__ == "__main__":
    sys.exit(main())
