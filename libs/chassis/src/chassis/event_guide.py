"""The generated parts of `docs/partners.md`: everything that is said about events, by themselves.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`. What is outside is by hand.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from chassis.event_catalogue import UNRELEASED, Change, Entry, Field, Schema, fields_of
from invoiceos_contracts.registry import DAY_MS, FAMILIES, OUTCOMES, PUBLISHED, TopicFamily, topics

_PART = re.compile(r"(<!-- generated: (?P<what>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_LANGUAGES = {".py": "python", ".java": "java", ".mjs": "javascript", ".xml": "xml"}
_PURPOSES = {
    "requests": "what you ask for",
    "outcomes": "what became of each request",
    "events": "the facts of your tenant, those you subscribed to",
}
EVENTS_PART = "events"


def filled(text: str, parts: dict[str, Callable[[], str]], folder: Path) -> str:
    """The guide with every generated part made anew; raises `KeyError` for one nobody makes.

    `file: PATH` includes a file of `folder` as it stands.
    """

    def made(match: re.Match[str]) -> str:
        what = match["what"]
        if what.startswith("file: "):
            content = _included(folder / what.removeprefix("file: "))
        else:
            content = parts[what]()
        return f"{match[1]}\n{content.strip()}\n\n{match[3]}"

    return _PART.sub(made, text)


def split(text: str, part: str) -> tuple[str, str]:
    """What stands before and behind a generated part."""
    match = next(found for found in _PART.finditer(text) if found["what"] == part)
    return text[: match.start()], text[match.end() :]


def _included(path: Path) -> str:
    language = _LANGUAGES.get(path.suffix, "text")
    return f"```{language}\n{path.read_text().rstrip()}\n```"


def parts_of(entries: list[Entry], request: tuple[Schema, Schema]) -> dict[str, Callable[[], str]]:
    """Each generated part by its name; `request` is the schema and a sample of what is asked."""
    return {
        "topics": partner_topics,
        "platform topics": lambda: platform_topics(entries),
        "request": lambda: _request(*request),
        "changes": lambda: changes(entries),
        EVENTS_PART: lambda: "\n".join(_events(entries)),
    }


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [list(head)]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def days(milliseconds: int) -> str:
    """A retention in words that stay on one line."""
    return f"{milliseconds // DAY_MS}\u00a0days"


def key_of(family: TopicFamily) -> str:
    """What the records of a family are keyed by."""
    keyed = {"requests": "yours to choose", "outcomes": "`invoice_request_id`"}
    return keyed.get(family.purpose, "the aggregate, as in `ce_subject`")


def partner_topics() -> str:
    """The topics a partner has of its own."""
    return table(
        ("topic", "you may", "it carries", "key", "partitions", "kept"),
        (
            (
                f"`{family.template.format(name='<name>')}`",
                "write" if family.written_by == "partner" else "read",
                _PURPOSES[family.purpose],
                key_of(family),
                str(family.partitions),
                days(family.retention_ms),
            )
            for family in FAMILIES
        ),
    )


def platform_topics(entries: list[Entry]) -> str:
    """The topics that services share, for an operator's own integrations."""
    rows = []
    for spec in topics():
        carried = [entry for entry in entries if spec.name == entry.event.TOPIC]
        if carried:
            keys = ", ".join(f"`{key}`" for key in dict.fromkeys(entry.key for entry in carried))
            about = (str(len(carried)), keys, str(spec.partitions), days(spec.retention_ms))
            rows.append((f"`{spec.name}`", spec.owner, *about))
    return table(("topic", "stated by", "events", "key", "partitions", "kept"), rows)


def envelope(needed: Mapping[str, str], optional: Mapping[str, str]) -> str:
    """Every header, what it says, and whether it is always there."""
    rows = [(f"`{name}`", "always", text) for name, text in needed.items()]
    rows += [(f"`{name}`", "if known", text) for name, text in optional.items()]
    return table(("header", "there", "says"), rows)


def field_rows(fields: Iterable[Field]) -> Iterator[tuple[str, str, str]]:
    """Name, kind and meaning of each."""
    for field in fields:
        yield (
            f"`{field.path}`",
            field.kind if field.required else f"{field.kind}, optional",
            (field.meaning),
        )


def _request(schema: Schema, record: Schema) -> str:
    fields = table(("field", "type", "meaning"), field_rows(fields_of(schema)))
    return f"{fields}\n\nA record:\n\n{_json(record)}"


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def by_release(entries: list[Entry]) -> dict[str, list[tuple[Entry, Change]]]:
    """What each release did, the newest first."""
    found: dict[str, list[tuple[Entry, Change]]] = {}
    for entry in entries:
        for change in entry.changes:
            found.setdefault(change.release, []).append((entry, change))
    numbered = sorted((r for r in found if r != UNRELEASED), key=_version, reverse=True)
    return {r: found[r] for r in (UNRELEASED, *numbered) if r in found}


def _version(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def changes(entries: list[Entry]) -> str:
    """The changelog of events, and which versions are on their way out."""
    blocks = []
    for release, changed in by_release(entries).items():
        added = [f"`{entry.event.TYPE}`" for entry, change in changed if change.change == "added"]
        lines = [f"**{release}**", ""]
        if added:
            lines.append(f"- {len(added)} events added: {', '.join(added)}")
        lines += [
            f"- `{entry.event.TYPE}`: {change.change}"
            for entry, change in changed
            if change.change != "added"
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join([deprecations(entries), *blocks])


def deprecations(entries: list[Entry]) -> str:
    """Versions that have a successor, and who of the platform still reads them."""
    rows = [
        (f"`{d.type}`", f"`{d.replaced_by}`", d.release, ", ".join(entry.readers) or "nobody")
        for entry in entries
        if (d := entry.deprecation)
    ]
    if not rows:
        return "No version is deprecated: each event is in its first."
    return table(("deprecated", "use", "since", "still read by"), rows)


def reach(entry: Entry) -> str:
    """Where a partner finds it; empty where it stays inside the platform."""
    if entry.event in PUBLISHED:
        return "partner.<name>.events.v1"
    return "partner.<name>.outcomes.v1" if entry.event in OUTCOMES.carries else ""


def _events(entries: list[Entry]) -> Iterator[str]:
    for topic in dict.fromkeys(entry.event.TOPIC for entry in entries):
        yield f"### {topic}\n"
        for entry in entries:
            if topic == entry.event.TOPIC:
                yield from _event(entry)


def facts_about(entry: Entry) -> Iterator[tuple[str, str]]:
    """Whatever is true of an event besides its meaning."""
    yield "type", f"`{entry.event.TYPE}`"
    yield "you find it on", f"`{reach(entry)}`" if reach(entry) else "the shared topic alone"
    yield "stated by", entry.event.OWNER
    yield "key", f"`{entry.key}`"
    yield "since", entry.since
    if entry.event.SENSITIVE:
        sealed = ", ".join(f"`{name}`" for name in sorted(entry.event.SENSITIVE))
        yield "sealed", f"{sealed}: personal data that you will not be able to read"
    if entry.readers:
        yield "read inside by", ", ".join(entry.readers)
    if entry.deprecation:
        yield "deprecated", f"use `{entry.deprecation.replaced_by}`"


def _event(entry: Entry) -> Iterator[str]:
    yield f"#### {entry.name}\n\n{entry.meaning}\n"
    yield "\n".join(f"- {name}: {text}" for name, text in facts_about(entry)) + "\n"
    yield table(("field", "type", "meaning"), field_rows(entry.fields)) + "\n"
    record = {name: entry.sample[name] for name in ("key", "headers", "value")}
    summary = "<details><summary>A record</summary>"
    yield f"{summary}\n\n{_json(record)}\n\n</details>\n"
