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

__all__ = [
    "OPEN",
    "STATES",
    "Act",
    "LetterFilter",
    "discard",
    "find",
    "outbox_status",
    "replay",
    "show",
    "timers_status",
]
