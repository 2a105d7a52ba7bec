"""A sandbox of its own for each test, on a port of its own, its clock standing."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import stripe

from invoiceos_local.ports import LOOPBACK, free_port
from provider_sandbox.app import application
from provider_sandbox.core.provider import discover
from provider_sandbox.core.store import Store
from provider_sandbox.core.world import World
from provider_sandbox.server import server

from .specs import missing

STANDING = "2030-01-01T00:00:00Z"


class Sandbox:
    """A running sandbox, as others see it."""

    def __init__(self, path: str = ":memory:", seed: int = 1, *, standing: bool = True) -> None:
        self.url = f"http://{LOOPBACK}:{free_port()}"
        self._arguments = (path, seed)
        self._opened: list[httpx.Client | stripe.RequestsClient] = []
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self._start()
        if standing:
            self.ok("PUT", "/sandbox/clock", json={"mode": "standing", "now": STANDING})

    def _start(self) -> None:
        path, seed = self._arguments
        world = World(Store(path), discover(), seed=seed, public_url=self.url)
        port = int(self.url.rpartition(":")[2])
        self._server = server(application(world), LOOPBACK, port)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.002)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        for client in (self.http, *self._opened):
            client.close()

    def restart(self) -> None:
        self.stop()
        self._start()

    def ok(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def advance(self, seconds: float) -> None:
        self.ok("POST", "/sandbox/clock/advance", json={"seconds": seconds})

    def faults(self, provider: str, **operations: Any) -> None:
        """Faults of operations; an underscore pair stands for the dot of a name."""
        named = {name.replace("__", "."): fault for name, fault in operations.items()}
        self.plan(provider, operations=named)

    def plan(self, provider: str, **plan: Any) -> None:
        self.ok("PUT", "/sandbox/faults", json={"providers": {provider: plan}})

    def truth(self, reference: str = "") -> Any:
        return self.ok("GET", "/sandbox/truth", params={"reference": reference})

    def simulate(self, provider: str, name: str, **wanted: Any) -> Any:
        return self.ok("POST", f"/sandbox/simulate/{provider}/{name}", json=wanted)

    def stripe(self, key: str = "sk_test_1", *, retries: int = 0) -> stripe.StripeClient:
        transport = stripe.RequestsClient(timeout=30)
        self._opened.append(transport)
        return stripe.StripeClient(
            key,
            base_addresses={"api": f"{self.url}/stripe"},
            max_network_retries=retries,
            http_client=transport,
        )

    def paypal(self) -> httpx.Client:
        answer = self.http.post(
            "/paypal/v1/oauth2/token",
            auth=("sandbox-client", "sandbox-secret"),
            data={"grant_type": "client_credentials"},
        )
        token = answer.json()["access_token"]
        return self._client("paypal", token)

    def circle(self) -> httpx.Client:
        return self._client("circle", "TEST_API_KEY:sandbox:secret")

    def _client(self, provider: str, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.Client(
            base_url=f"{self.url}/{provider}", headers=headers, timeout=30, trust_env=False
        )
        self._opened.append(client)
        return client


@pytest.fixture(scope="session", autouse=True)
def what_is_not_checked(request: pytest.FixtureRequest) -> None:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for line in missing():
            print(line, file=sys.stderr)


Make = Callable[..., Sandbox]


@pytest.fixture
def make_sandbox() -> Iterator[Make]:
    made: list[Sandbox] = []

    def make(*arguments: Any, **more: Any) -> Sandbox:
        made.append(Sandbox(*arguments, **more))
        return made[-1]

    yield make
    for sandbox in made:
        sandbox.close()


@pytest.fixture
def sandbox(make_sandbox: Make) -> Sandbox:
    return make_sandbox()


@dataclass
class Receiver:
    """Takes webhooks and answers with `statuses` in turn, then with 200."""

    url: str = ""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def bodies(self) -> list[bytes]:
        return [body for _, body in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.taken.append((headers, body))
            self.send_response(found.statuses.pop(0) if found.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    listening = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    found.url = f"http://{LOOPBACK}:{listening.server_port}/webhooks"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    listening.shutdown()
    thread.join()
    listening.server_close()
