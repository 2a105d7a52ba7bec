"""What stands for the gateway's register of partners where it has to fail on demand."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "operator-of-the-register"


class Register:
    """Partners by name; `broken` refuses every call."""

    def __init__(self) -> None:
        self.partners: dict[str, dict[str, str]] = {}
        self.broken = False
        self.url = ""

    def settings(self) -> dict[str, str]:
        return {"INVOICEOS_GATEWAY_URL": self.url, "INVOICEOS_OPERATOR_TOKEN": TOKEN}

    def answer(self, method: str, path: str, body: dict[str, str]) -> tuple[int, dict[str, str]]:
        if self.broken:
            return 503, {"code": "overloaded", "title": "Try again"}
        steps = path.removeprefix("/api/v1/partners").strip("/").split("/")
        if method == "POST" and steps == [""]:
            known = self.partners.setdefault(body["name"], {**body, "state": "active"})
            if known["tenant_id"] != body["tenant_id"] or known["state"] != "active":
                return 409, {"code": "partner_name_taken", "title": "Choose another"}
            return 201, known
        if steps[0] not in self.partners:
            return 404, {"code": "partner_not_found", "title": "There is none"}
        if steps[1:] == ["revoke"]:
            self.partners[steps[0]]["state"] = "revoked"
        return 200, self.partners[steps[0]]


@contextmanager
def running_register() -> Iterator[Register]:
    register = Register()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            assert self.headers["Authorization"] == f"Bearer {TOKEN}"
            size = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            status, told = register.answer(self.command, self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_GET = do_POST = _answer  # noqa: N815 - the names the server calls

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    register.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield register
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
