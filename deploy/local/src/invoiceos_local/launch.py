"""Becomes another program, tied to the life of its parent.

Run as a script with nothing but the standard library (`python -I -S launch.py ...`), so that it
costs some ten milliseconds. On Linux the kernel then signals the program when the process that
started it dies, by whatever death; elsewhere the supervisor's own list of processes has to do.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1
_SET_KEEP_CAPABILITIES = 8
_SET_SECURE_BITS = 28
_KEEP_CAPABILITIES_BIT = 1 << 4
_NO_SETUID_FIXUP_BIT = 1 << 2
_AMBIENT_CAPABILITIES = 47
_AMBIENT_RAISE = 2
_OVERRIDE_FILE_PERMISSIONS = 1
_CAPABILITY_VERSION_3 = 0x20080522


def _control(option: int, value: int, second: int = 0) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, second, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} was refused")


def _hold_only_file_override() -> None:
    """Leaves one capability in the permitted, effective and inheritable sets."""
    mask = 1 << _OVERRIDE_FILE_PERMISSIONS
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset was refused")


def _become(account: str, *, reach_everything: bool) -> None:
    """Drops from root to an account.

    Where a folder above the program is closed to that account (a checkout in root's home, say),
    the one capability to pass it is kept, so that no permissions have to be changed on disk.
    """
    entry = pwd.getpwnam(account)
    if reach_everything:
        # Without the second, access(2) would answer as if the capability were not there.
        _control(_SET_KEEP_CAPABILITIES, 1)
        _control(_SET_SECURE_BITS, _KEEP_CAPABILITIES_BIT | _NO_SETUID_FIXUP_BIT)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if reach_everything:
        _hold_only_file_override()
        _control(_AMBIENT_CAPABILITIES, _AMBIENT_RAISE, _OVERRIDE_FILE_PERMISSIONS)


def main(arguments: list[str]) -> None:
    """Arguments: parent's pid, signal at its death, account or "-", "reach" or "-", command."""
    parent, death_signal, account, reach, *command = arguments
    if account != "-":
        _become(account, reach_everything=reach == "reach")
    if sys.platform == "linux":
        _control(_SET_PARENT_DEATH_SIGNAL, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit("the process that asked for this one is gone")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvp(command[0], command)  # noqa: S606 - to become the command is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
