"""The gateway's register of partners, as an operator asks it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

_TIMEOUT_S = 30


class GatewayRefused(Exception):
    """The gateway said no; the text says why."""

    def __init__(self, status: int, text: str) -> None:
        """Keep the answer's HTTP status."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Gateway:
    """Calls of an operator; each may be repeated."""

    url: str
    token: str = field(repr=False)

    def register(self, name: str, tenant_id: str) -> dict[str, Any]:
        """The partner as registered; raises `GatewayRefused`."""
        return self._ask("POST", "", {"name": name, "tenant_id": tenant_id})

    def partner(self, name: str) -> dict[str, Any] | None:
        """The partner; None where there is none of this name."""
        try:
            return self._ask("GET", f"/{name}")
        except GatewayRefused as error:
            if error.status == 404:
                return None
            raise

    def revoke(self, name: str) -> None:
        """Take no more of the partner's requests; nothing where there is none."""
        try:
            self._ask("POST", f"/{name}/revoke", {})
        except GatewayRefused as error:
            if error.status != 404:
                raise

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/api/v1/partners{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise GatewayRefused(error.code, _reason(error.read())) from error
        except OSError as error:
            raise GatewayRefused(0, f"the gateway does not answer: {error}") from error


def _reason(body: bytes) -> str:
    """What a problem document says, in one line."""
    try:
        problem = json.loads(body)
        return f"{problem['code']}: {problem.get('detail') or problem['title']}"
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:500]
