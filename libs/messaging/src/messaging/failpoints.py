"""Named places where a test can make the process die; nothing happens unless one is armed.

`INVOICEOS_FAILPOINT=relay.acked` kills the process with SIGKILL the first time it comes by;
`relay.acked:3` the third time. Recovery must not depend on where it was.
"""

import os
import signal

_armed, _, _count = os.environ.get("INVOICEOS_FAILPOINT", "").partition(":")
_remaining = int(_count or 1)


def failpoint(name: str) -> None:
    """Die here if this point is armed."""
    global _remaining
    if name != _armed:
        return
    _remaining -= 1
    if _remaining <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
