"""The page of events that the gateway serves: the guide and the reference, in plain HTML.

Nothing in it needs a script; its own small script adds the search. `make contracts` writes it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chassis.event_catalogue import Entry
from chassis.event_guide import EVENTS_PART, facts_about, field_rows, reach, split

_COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def page(guide: str, entries: list[Entry]) -> str:
    """The whole page, from the guide as it stands in `docs/partners.md`."""
    before, behind = (_COMMENT.sub("", half) for half in split(guide, EVENTS_PART))
    title, introduction, headings = _rendered(before)
    _, rest, more = _rendered(behind)
    reference = "".join(_topics(entries))
    return _SHELL.format(
        title=escape(title),
        nav="".join(_nav([*headings, *more], entries)),
        introduction=introduction,
        reference=reference,
        rest=rest,
        count=len(entries),
    )


def catalogue(entries: list[Entry], request: dict[str, Any]) -> str:
    """Every schema with a record, by CloudEvents type, for tools; one line an event."""
    rows = {
        entry.event.TYPE: {"schema": entry.schema, **entry.sample, "since": entry.since}
        for entry in entries
    }
    rows[request["schema"]["x-type"]] = request
    lines = (f"{json.dumps(name)}: {_compact(row)}" for name, row in rows.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _rendered(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Title, HTML and the second-level headings with their anchors."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(text)
    title, headings = "", []
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor(inline.content))
            if opening.tag == "h1":
                title = inline.content
            elif opening.tag == "h2":
                headings.append((anchor(inline.content), inline.content))
        if inline.type == "inline" and inline.children is not None:
            inline.children = list(_links_that_lead_somewhere(inline.children))
    made = str(parser.renderer.render(tokens, parser.options, {}))
    for tag in ("table", "/table"):
        frame = '<div class="wide"><table>' if tag == "table" else "</table></div>"
        made = made.replace(f"<{tag}>", frame)
    return title, made, headings


def _links_that_lead_somewhere(tokens: Iterable[Token]) -> Iterator[Token]:
    """Without the links to files of the repository, which nobody serves here."""
    dropped = False
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href"))
            dropped = not target.startswith(("#", "https://", "/"))
            if dropped:
                continue
        if token.type == "link_close" and dropped:
            dropped = False
            continue
        yield token


def anchor(heading: str) -> str:
    """The id of a heading, as code forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _nav(headings: list[tuple[str, str]], entries: list[Entry]) -> Iterator[str]:
    yield "<h2>Guide</h2><ul>"
    yield from (f'<li><a href="#{where}">{escape(text)}</a></li>' for where, text in headings)
    yield "</ul>"
    for topic, group in _by_topic(entries):
        yield f"<h2>{escape(_short(topic))}</h2><ul>"
        yield from (f'<li><a href="#{entry.event.TYPE}">{entry.name}</a></li>' for entry in group)
        yield "</ul>"


def _short(topic: str) -> str:
    return topic.removeprefix("invoiceos.").rpartition(".")[0]


def _by_topic(entries: list[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    for topic in dict.fromkeys(entry.event.TOPIC for entry in entries):
        yield topic, [entry for entry in entries if topic == entry.event.TOPIC]


def _topics(entries: list[Entry]) -> Iterator[str]:
    for topic, group in _by_topic(entries):
        yield f'<section class="topic"><h3 id="{topic}"><code>{topic}</code></h3>'
        yield from (_event(entry) for entry in group)
        yield "</section>"


def _event(entry: Entry) -> str:
    kind = escape(entry.event.TYPE)
    record = {name: entry.sample[name] for name in ("key", "headers", "value")}
    body = json.dumps(record, indent=2, ensure_ascii=False)
    return (
        f'<details class="event" id="{kind}"><summary><b>{entry.name}</b> '
        f"<code>{kind}</code>{_marks(entry)}<span>{_text(entry.meaning)}</span></summary>"
        f'<div class="parts"><div class="about">{_facts(entry)}'
        f'<table class="fields">{"".join(_row(row) for row in field_rows(entry.fields))}</table>'
        f'</div><div class="sample"><h4>A record</h4><pre tabindex="0">{escape(body)}</pre></div>'
        "</div></details>"
    )


def _marks(entry: Entry) -> str:
    where = reach(entry)
    words = [where.split(".")[2]] if where else ["inside"]
    words += ["deprecated"] if entry.deprecation else []
    return "".join(f' <em class="mark {word}">{word}</em>' for word in words)


def _facts(entry: Entry) -> str:
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{_text(text)}</dd></div>"
        for name, text in facts_about(entry)
        if name != "type"
    )
    return f"<dl>{rows}</dl>"


def _row(row: tuple[str, str, str]) -> str:
    name, kind, meaning = row
    return (
        f'<tr><td><span class="name">{escape(name.strip("`"))}</span><br>'
        f'<span class="kind">{_text(kind)}</span></td><td>{_text(meaning)}</td></tr>'
    )


def _text(markdown: str) -> str:
    """One line of prose in which backticks mark code."""
    return _CODE.sub(r"<code>\1</code>", escape(markdown))


_SHELL = """<!doctype html>
<!-- Written by `make contracts`; change docs/partners.md or the contracts instead. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Invoice OS</title>
<link rel="stylesheet" href="/docs/docs.css">
<link rel="stylesheet" href="/docs/events.css">
<script src="/docs/events.js" defer></script>
</head>
<body>
<a class="skip" href="#content">Skip to the guide</a>
<header class="top">
  <a class="brand" href="/docs/events">Invoice OS <span>events</span></a>
  <label class="search" hidden><span class="hidden">Find an event or a field</span>
    <input id="search" type="search" autocomplete="off"
      placeholder="Find an event or a field, for example paid">
  </label>
  <a class="plain" href="/docs">API</a>
  <a class="plain" href="/docs/events.json">events.json</a>
</header>
<div class="frame">
  <nav aria-label="Guide and events">{nav}</nav>
  <main id="content" tabindex="-1">
<div class="guide">{introduction}</div>
<p class="quiet" id="found" role="status" hidden></p>
<div id="reference" data-count="{count}">{reference}</div>
<div class="guide">{rest}</div>
  </main>
</div>
</body>
</html>
"""
