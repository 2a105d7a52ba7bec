"""uvicorn, with a way to cut a connection instead of answering."""

import socket
import struct
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from provider_sandbox.app import RESET

_LINGER_NOT = struct.pack("ii", 1, 0)


class CuttableProtocol(HttpToolsProtocol):
    """Hands each request what resets its connection."""

    def on_message_begin(self) -> None:
        """Add to the scope that the base class has just made."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {**(scope.get("extensions") or {}), RESET: self._reset}

    def _reset(self) -> None:
        found = self.transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()


def server(app: FastAPI, host: str, port: int) -> uvicorn.Server:
    """A server that is not started yet."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=CuttableProtocol,
        ws="none",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
