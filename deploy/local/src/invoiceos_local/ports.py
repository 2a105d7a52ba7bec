"""Free loopback ports."""

from __future__ import annotations

import random
import socket
import threading

LOOPBACK = "127.0.0.1"
# Below the range from which systems take the local ends of outgoing connections.
_LOWEST, _HIGHEST = 18_000, 31_999
_handed_out: set[int] = set()
_lock = threading.Lock()


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """A port that nothing listens on and that this process has not handed out before."""
    with _lock:
        if preferred is not None and preferred not in _handed_out and is_free(preferred):
            _handed_out.add(preferred)
            return preferred
        while True:
            port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - not a secret
            if port not in _handed_out and is_free(port):
                _handed_out.add(port)
                return port


def give_back(port: int) -> None:
    """Allows the port to be handed out again."""
    with _lock:
        _handed_out.discard(port)


def accepts_connections(port: int, host: str = LOOPBACK) -> bool:
    """Whether something listens on the port."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False
