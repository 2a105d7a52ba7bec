"""What operators see and mend of one service's schema, for the command line and REST alike.

Each function takes an open transaction (of the worker role where it writes) and is set-based.
"""

from messaging.operations.backlog import outbox_status, timers_status
from messaging.operations.journal import Act
from messaging.operations.letters import (
    OPEN,
    STATES,
    LetterFilter,
    discard,
    find,
    replay,
    show,
)
from messaging.operations.topics import born, events_of, owned_topics
from messaging.operations.tracing import (
    Entry,
    Subject,
    Traced,
    effects,
    invoices_numbered,
    part,
    tree,
)

__all__ = [
    "OPEN",
    "STATES",
    "Act",
    "Entry",
    "LetterFilter",
    "Subject",
    "Traced",
    "born",
    "discard",
    "effects",
    "events_of",
    "find",
    "invoices_numbered",
    "outbox_status",
    "owned_topics",
    "part",
    "replay",
    "show",
    "timers_status",
    "tree",
]
