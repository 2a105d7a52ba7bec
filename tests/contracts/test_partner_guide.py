"""The guide and the page say what the contracts say, of every event, and every sample is true."""

import json
import re
import subprocess
import sys
from html import unescape
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from chassis import event_guide
from chassis.documents import schema_of, write
from chassis.event_catalogue import Change, continued, differences, fields_of
from chassis.event_page import anchor
from invoiceos_contracts import EVENTS, Event, from_headers
from invoiceos_contracts.__main__ import problems_of
from invoiceos_contracts.cloudevents import schema_uri

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "services/gateway/src/gateway/edge/docs_page"
GUIDE = (ROOT / "docs/partners.md").read_text()
PAGE = (PAGES / "events.html").read_text()
CATALOGUE = json.loads((PAGES / "events.json").read_text())
events = pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.__name__)
TEXT = {"type": "string"}


def sample_of(event: type[Event]) -> dict[str, Any]:
    version = event.TYPE.rpartition(".")[2]
    found: dict[str, Any] = json.loads(
        (ROOT / f"contracts/samples/{event.__name__}.{version}.json").read_text()
    )
    return found


def test_what_is_checked_in_is_what_make_contracts_writes(tmp_path: Path) -> None:
    services = {point.name: point.load() for point in entry_points(group="invoiceos.services")}
    copy = tmp_path / "contracts"
    for name in ("contracts", "docs"):
        subprocess.run(["cp", "-r", ROOT / name, tmp_path / name], check=True)
    written = [path.relative_to(tmp_path) for path in write(copy, services)]
    assert Path("docs/partners.md") in written
    for path in written:
        made, kept = (tmp_path / path).read_bytes(), (ROOT / path).read_bytes()
        assert made == kept, f"{path} is out of date: run `make contracts`"


@events
def test_guide_page_and_catalogue_have_it_with_every_field(event: type[Event]) -> None:
    guide = re.split(r"^#### ", GUIDE, flags=re.MULTILINE)
    (said,) = (part for part in guide if part.startswith(f"{event.__name__}\n"))
    (shown,) = re.findall(
        rf'<details class="event" id="{event.TYPE}".*?</details>', PAGE, re.DOTALL
    )
    for field in fields_of(schema_of(event)):
        assert field.meaning, (
            f"{event.__name__}.{field.path}: a docstring, or a word in glossary.py"
        )
        assert f"| `{field.path}` |" in said
        assert f'<span class="name">{field.path}</span>' in shown
    assert CATALOGUE[event.TYPE]["schema"] == schema_of(event)


@events
def test_its_sample_is_a_record_as_it_goes_over_the_wire(event: type[Event]) -> None:
    record = sample_of(event)
    jsonschema.validate(record["value"], schema_of(event))
    said = from_headers((name, value.encode()) for name, value in record["headers"].items())
    fact = event.read(json.dumps(record["value"]).encode())
    assert json.loads(fact.write()) == record["value"]
    assert (said.type, record["topic"]) == (event.TYPE, event.TOPIC)
    assert said.source == f"/invoiceos/{event.OWNER}"
    assert said.subject == record["key"] == fact.subject
    assert said.tenant_id == fact.tenant_id
    assert said.correlation_id == fact.correlation
    assert record["headers"]["ce_dataschema"] == schema_uri(event)
    assert list(problems_of(record)) == []


def test_samples_have_ids_of_their_own() -> None:
    ids = [sample_of(event)["headers"]["ce_id"] for event in EVENTS.values()]
    assert len(set(ids)) == len(ids)


def test_every_link_of_page_and_guide_leads_somewhere() -> None:
    ids = re.findall(r'\bid="([^"]+)"', PAGE)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', PAGE)) <= set(ids)
    headings = {anchor(text) for text in re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", GUIDE):
        place, _, part = target.partition("#")
        assert place.startswith("https://") or not place or (ROOT / "docs" / place).exists(), target
        assert place or part in headings, target


def test_every_example_stands_in_the_guide_and_on_the_page() -> None:
    examples = ROOT / "docs" / "examples"
    for file in [
        *examples.glob("python/*.py"),
        *examples.glob("node/*.mjs"),
        *examples.rglob("*.java"),
    ]:
        assert f"{file.read_text().rstrip()}\n```" in GUIDE, file
        assert file.read_text().splitlines()[-2] in unescape(PAGE), file


def test_the_page_needs_no_script_and_nobody_else() -> None:
    assert not re.search(r"<script>|style=|<[^>]+ on\w+=|@import|<img", PAGE)
    assert re.findall(r'(?:src|href)="(?!#|https://www.standardwebhooks.com)([^"]+)"', PAGE) == [
        "/docs/events.css" if path == "css" else path
        for path in (
            "/docs/docs.css",
            "css",
            "/docs/events.js",
            "/docs/events",
            "/docs",
            "/docs/events.json",
        )
    ]
    assert "<details" in PAGE
    assert re.search(r'<label class="search" hidden>', PAGE)


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": []}


def test_the_changelog_is_continued_once_by_what_readers_find_new() -> None:
    old, new = an_object(name=TEXT), an_object(name=TEXT, note=TEXT)
    assert list(differences(old, new)) == ["optional field `note` added"]
    widened = an_object(name={"anyOf": [TEXT, {"type": "null"}]})
    assert list(differences(old, widened)) == ["`name` may now be string or null"]
    history = [Change("0.1.0", "a.v1", "added")]
    grown = continued(history, {"a.v1": old}, {"a.v1": new, "b.v1": old})
    assert grown == [
        *history,
        Change("Unreleased", "a.v1", "optional field `note` added"),
        Change("Unreleased", "b.v1", "added"),
    ]
    assert continued(grown, {"a.v1": old}, {"a.v1": new, "b.v1": old}) == grown
    assert continued(grown, {"a.v1": new, "b.v1": old}, {"a.v1": new, "b.v1": old}) == grown


def test_releases_of_the_changelog_are_those_of_the_product() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    rows = json.loads((ROOT / "contracts/history.json").read_text())
    assert {row["release"] for row in rows} <= set(headings)
    assert {row["type"] for row in rows if row["change"] == "added"} == set(EVENTS)


def test_a_deprecated_version_names_its_successor_and_who_still_reads_it() -> None:
    gone = SimpleNamespace(type="a.v1", replaced_by="a.v2", release="0.2.0")
    entry: Any = SimpleNamespace(deprecation=gone, readers=("ledger", "notification"))
    shown = event_guide.deprecations([entry])
    assert "| `a.v1` | `a.v2` | 0.2.0 | ledger, notification |" in shown
    unread: Any = SimpleNamespace(deprecation=gone, readers=())
    assert "| nobody |" in event_guide.deprecations([unread])


def test_a_part_nobody_makes_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        event_guide.filled("<!-- generated: nothing -->\n<!-- end -->", {}, ROOT)


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "invoiceos_contracts", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_partner_can_check_messages_and_releases(tmp_path: Path) -> None:
    request = json.loads((ROOT / "contracts/samples/InvoiceRequest.v1.json").read_text())
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(request))
    request["value"]["lines"][0]["quantity"] = 12
    bad.write_text(json.dumps(request))
    assert run("check", good).stdout == f"{good}: ok\n"
    refused = run("check", good, bad)
    assert refused.returncode == 1
    assert f"{bad}: /lines/0/quantity: Input should be a valid string" in refused.stdout
    kept, changed = PAGES / "events.json", dict(CATALOGUE)
    assert run("compare", kept, kept).stdout == "nothing breaks\n"
    del changed["invoiceos.invoice.paid.v1"]
    bad.write_text(json.dumps(changed))
    broken = run("compare", kept, bad)
    assert (broken.returncode, broken.stdout) == (1, "invoiceos.invoice.paid.v1: gone\n")
