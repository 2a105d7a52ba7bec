"""How the demo looks on a terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from invoiceos_contracts import Event
from invoiceos_local.demo.feed import Seen

_COLOURS = {
    "gateway": "white",
    "invoice": "cyan",
    "wallet-factory": "magenta",
    "ephemeral-manager": "yellow",
    "provider-orchestrator": "blue",
    "reserve-ledger": "green",
    "notification": "bright_black",
}
_DIGITS = {"USD": 2, "PATHUSD": 6, "ALPHAUSD": 6}


class View:
    """Prints each fact with the milliseconds since the story began."""

    def __init__(self, console: Console) -> None:
        """Print to a console."""
        self.console = console
        self.began = time.monotonic()
        self.showing = False

    def begin(self) -> None:
        """The story begins now."""
        self.began = time.monotonic()
        self.showing = True

    def heading(self, text: str) -> None:
        """A new part."""
        self.console.print(f"\n[bold]{escape(text)}[/]")

    def say(self, text: str) -> None:
        """A sentence, with the time."""
        self.console.print(f"{self._elapsed(time.monotonic())}  [bold]{escape(text)}[/]")

    def fact(self, seen: Seen) -> None:
        """A fact, as it happens."""
        if not self.showing:
            return
        colour = _COLOURS.get(seen.service, "white")
        self.console.print(
            f"{self._elapsed(seen.at)}  [{colour}]{seen.service:<22}[/]"
            f"{type(seen.fact).__name__:<26} [dim]{escape(summary(seen.fact))}[/]",
            soft_wrap=True,
        )

    def _elapsed(self, at: float) -> str:
        return f"[dim]{(at - self.began) * 1000:>7.0f} ms[/]"

    def check(self, text: str, right: bool) -> None:
        """A finding."""
        self.console.print(
            f"  [{'green' if right else 'bold red'}]{'✔' if right else '✘'}[/] {text}"
        )

    def postings(self, transactions: list[dict[str, Any]]) -> None:
        """Ledger entries as a bookkeeper reads them."""
        table = Table("seq", "template", "account", "debit", "credit", box=None, padding=(0, 2))
        for transaction in transactions:
            for place, posting in enumerate(transaction["postings"]):
                minor = posting["amount"]["amount_minor"]
                shown = money({**posting["amount"], "amount_minor": abs(minor)})
                table.add_row(
                    str(transaction["sequence"]) if not place else "",
                    transaction["template"] if not place else "",
                    str(posting["account"]),
                    shown if minor > 0 else "",
                    shown if minor < 0 else "",
                )
        self.console.print(table)


def money(amount: dict[str, Any]) -> str:
    """12.50 USD."""
    digits = _DIGITS.get(amount["asset"], 2)
    minor = amount["amount_minor"]
    sign = "-" if minor < 0 else ""
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}} {amount['asset']}" if digits else f"{minor}"


def summary(fact: Event) -> str:
    """The few fields of a fact that tell the story."""
    data = fact.model_dump(mode="json")
    parts = []
    status = data.get("status")
    if status:
        parts.append(f"{status['document']}/{status['settlement']}/{status['timeliness']}")
    plain = ("number", "mode", "rail", "address", "reason", "template", "policy", "channel")
    parts += [f"{name}={data[name]}" for name in plain if data.get(name)]
    amounts = [name for name in ("amount", "applied", "excess", "shortage") if data.get(name)]
    parts += [f"{n}={money(data[n])}" for n in amounts if data[n]["amount_minor"]]
    if "covered" in data:
        parts.append(f"statement {data['sequence']}, reserve covers circulation: {data['covered']}")
    if "certificate" in data:
        parts.append(f"certificate {data['certificate']['hash'][:16]}…")
    return "  ".join(parts)
