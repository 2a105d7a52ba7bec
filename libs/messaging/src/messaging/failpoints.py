"""Named places where a test can make the process die; nothing happens unless one is armed.

`INVOICEOS_FAILPOINT=relay.acked` kills the process with SIGKILL the first time it comes by;
`relay.acked:3` the third time. With `INVOICEOS_FAILPOINT_MARK` naming a file it dies once only:
the file is written on the way out, and a process that finds it is not armed. Recovery must not
depend on where it was.
"""

import os
import signal
from pathlib import Path

_armed, _, _count = os.environ.get("INVOICEOS_FAILPOINT", "").partition(":")
_remaining = int(_count or 1)
_mark = os.environ.get("INVOICEOS_FAILPOINT_MARK", "")
if _mark and Path(_mark).exists():
    _armed = ""


def failpoint(name: str) -> None:
    """Die here if this point is armed."""
    global _remaining
    if name != _armed:
        return
    _remaining -= 1
    if _remaining <= 0:
        if _mark:
            Path(_mark).write_text(name)
        os.kill(os.getpid(), signal.SIGKILL)
