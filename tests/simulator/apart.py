"""A piece of work in a process of its own, which begins with all that is loaded here."""

import ctypes
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

R = TypeVar("R")
PR_SET_PDEATHSIG = 1
"""Of Linux; elsewhere a child may outlive a parent that was killed."""


def end_with_parent() -> None:
    """Be killed when the process that made this one dies."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def apart(work: Callable[[], R]) -> R:
    """What the work comes to; all that it opened, cached or left behind is gone with its process."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _work(work, reader, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if not told:
        raise RuntimeError(f"it ended with {os.waitstatus_to_exitcode(status)}")
    good, result = pickle.loads(told)
    if not good:
        raise RuntimeError(result)
    found: R = result
    return found


def _work(work: Callable[[], R], reader: int, writer: int) -> None:
    """The whole life of the child; never returns."""
    try:
        end_with_parent()
        os.close(reader)
        try:
            told = pickle.dumps((True, work()))
        except BaseException:
            told = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(told)
    finally:
        os._exit(0)
