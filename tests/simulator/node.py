"""Who is running: every callback of the loop belongs to one incarnation of a service, or to nobody.

The kernel of the simulation is this tag. A crash is that nothing tagged with an incarnation ever
runs again; a pause is that it runs later, all at once.
"""

import contextvars
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Node:
    """One incarnation of one process."""

    name: str
    incarnation: int = 0
    alive: bool = True
    paused: bool = False
    held: list[Any] = field(default_factory=list)
    """Callbacks that wait for the end of a pause."""
    tasks: list[Any] = field(default_factory=list)
    """All it ever began; a dead process runs no `finally`, so nobody may let go of them."""

    def __str__(self) -> str:
        return f"{self.name}#{self.incarnation}"


NODE: contextvars.ContextVar[Node | None] = contextvars.ContextVar("node", default=None)
"""The incarnation whose code runs now; None for the world around the services."""


def context_of(node: Node | None) -> contextvars.Context:
    """A context of its own for code of a node, or of the world."""
    context = contextvars.Context()
    context.run(NODE.set, node)
    return context
