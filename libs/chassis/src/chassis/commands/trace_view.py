"""A trace on a terminal: one line for each thing that happened, under what caused it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from chassis.commands.showing import span

_STYLES = {
    "event": "bold",
    "unsent": "bold yellow",
    "dead letter": "bold red",
    "timer": "blue",
    "log": "dim",
    "request": "magenta",
}
_MARKS = {"event": "●", "unsent": "◌", "dead letter": "✘", "timer": "◷", "log": "≡"}
_WIDTH = 1000
"""Columns where the output is no terminal: as many as it takes."""
_VALUE_MAX = 100
_UNSAID: tuple[object, ...] = (None, 0, False, [])


def draw(title: str, roots: list[dict[str, Any]], console: Console | None = None) -> None:
    """Print the tree; without colours where the output is no terminal."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    began = min(root["at"] for root in roots)
    tree = Tree(Text(f"{title}, from {began:%Y-%m-%d %H:%M:%S} UTC", style="bold"))
    for root in roots:
        _hang(tree, root, began)
    console.print(tree, no_wrap=True, overflow="ellipsis")


def _hang(tree: Tree, node: dict[str, Any], began: datetime) -> None:
    branch = tree.add(_line(node, began))
    handled = [child for child in node["children"] if child["kind"] == "handled"]
    if handled:
        branch.add(_handled(handled, node["at"]))
    for child in node["children"]:
        if child["kind"] != "handled":
            _hang(branch, child, began)


def _line(node: dict[str, Any], began: datetime) -> Text:
    kind = node["kind"]
    style = _STYLES.get(kind, "green")
    name = node["title"]
    if kind in ("event", "unsent"):
        name = name.removeprefix("invoiceos.")
    text = Text(f"{_moment(node, began):>9}  ", style="dim")
    text.append(f"{_MARKS.get(kind, '·')} ", style=style)
    if kind not in ("event", "log"):
        text.append(f"{kind} ", style=style)
    text.append(name, style="bold" if kind == "event" else "default")
    text.append(f"  {node['service']}", style="cyan")
    said = _details(node)
    return text.append(f"  {said}", style="dim") if said else text


def _moment(node: dict[str, Any], began: datetime) -> str:
    """Since the beginning; of what is still to come, when it is due."""
    now = datetime.now(UTC)
    if node["kind"] == "timer" and node["at"] > now:
        return f"in {span((node['at'] - now).total_seconds())}"
    return _after(node["at"] - began)


def _after(passed: timedelta) -> str:
    seconds = passed.total_seconds()
    return f"+{seconds:.2f} s" if 1 <= abs(seconds) < 60 else f"+{span(seconds)}"


def _handled(handled: list[dict[str, Any]], stated: datetime) -> Text:
    said = " · ".join(
        f"{entry['title']} {_after(entry['at'] - stated)}"
        for entry in sorted(handled, key=lambda entry: entry["at"])
    )
    return Text(f"{'':9}  handled by {said}", style="dim")


def _details(node: dict[str, Any]) -> str:
    details = {name: value for name, value in node["details"].items() if value not in _UNSAID}
    if node["kind"] == "event":
        return f"{node['subject']} v{details['version']}"
    attempts = details.get("attempts")
    if isinstance(attempts, list):
        details["attempts"] = [_attempt(attempt) for attempt in attempts]
    return "  ".join(f"{name}={_short(value)}" for name, value in details.items())


def _short(value: Any) -> str:
    """A value on one line; of several lines the last, where an exception says what it is."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    last = text.rstrip().rpartition("\n")[2]
    return last if len(last) <= _VALUE_MAX else f"{last[:_VALUE_MAX]}..."


def _attempt(attempt: dict[str, Any]) -> str:
    answer = attempt["status"] if attempt["status"] is not None else attempt["error"]
    return f"{answer} in {attempt['ms']} ms"
