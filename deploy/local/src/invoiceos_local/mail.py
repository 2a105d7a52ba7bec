"""A mail sink: takes every mail over SMTP, keeps it as a file, and shows what came over HTTP.

GET    /messages            all mails, the oldest first; `?to=` keeps those of one recipient
GET    /messages/{id}.eml   one mail as it came
DELETE /messages            forgets all
"""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from invoiceos_local.ports import LOOPBACK, accepts_connections, free_port
from invoiceos_local.processes import Child, Command, Processes, wait_until

_START_TIMEOUT_SECONDS = 30
_LARGEST_MAIL_BYTES = 25 * 1024 * 1024
_FOLDER: web.AppKey[Path] = web.AppKey("folder", Path)


class Mail:
    """The sink as a process of its own; the mails lie in `<folder>/mail`."""

    def __init__(
        self, processes: Processes, smtp_port: int | None = None, api_port: int | None = None
    ) -> None:
        self._processes = processes
        self._smtp_port = smtp_port or free_port()
        self._api_port = api_port or free_port()
        self._child: Child | None = None

    @property
    def smtp_url(self) -> str:
        return f"smtp://{LOOPBACK}:{self._smtp_port}"

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self._api_port}"

    def start(self) -> None:
        """Returns when both ports listen."""
        folder = self._processes.folder / "mail"
        folder.mkdir(parents=True, exist_ok=True)
        ports = [str(self._smtp_port), str(self._api_port)]
        command = [sys.executable, "-m", "invoiceos_local.mail", *ports, str(folder)]
        self._child = self._processes.spawn("mail", Command(command))
        wait_until(self._listens, self._child, "The mail sink", _START_TIMEOUT_SECONDS)

    def _listens(self) -> bool:
        return accepts_connections(self._smtp_port) and accepts_connections(self._api_port)

    def send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    def is_alive(self) -> bool:
        return self._child is not None and self._child.is_alive()

    def stop(self) -> None:
        if self._child is not None:
            self._processes.stop(self._child)
            self._child = None


class _Keeper:
    """Writes each mail to a file whose name sorts by time of arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:12]}"
        recipients = ", ".join(envelope.rcpt_tos)
        head = f"X-MailFrom: {envelope.mail_from}\r\nX-RcptTo: {recipients}\r\n".encode()
        content = envelope.content or b""
        body = content if isinstance(content, bytes) else content.encode()
        staging = self._folder / f".{name}"
        staging.write_bytes(head + body)
        staging.rename(self._folder / f"{name}.eml")
        return f"250 kept as {name}"


def _mails(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("2*.eml"))


def _shown(path: Path) -> dict[str, Any]:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    moment = datetime.strptime(path.name.split("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return {
        "id": path.stem,
        "from": str(message["From"] or message["X-MailFrom"]),
        "to": [one.strip() for one in str(message["X-RcptTo"]).split(",")],
        "subject": str(message["Subject"] or ""),
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
        "attachments": [
            {"filename": part.get_filename(), "content_type": part.get_content_type()}
            for part in message.iter_attachments()
        ],
        "received_at": moment.isoformat(),
    }


def _part(message: EmailMessage, kind: str) -> str | None:
    body = message.get_body(preferencelist=(kind,))
    return None if body is None else str(body.get_content())


async def _list(request: web.Request) -> web.Response:
    wanted = request.query.get("to")
    shown = (_shown(path) for path in _mails(request.app[_FOLDER]))
    return web.json_response([mail for mail in shown if wanted is None or wanted in mail["to"]])


async def _one(request: web.Request) -> web.Response:
    by_name = {path.stem: path for path in _mails(request.app[_FOLDER])}
    path = by_name.get(request.match_info["id"])
    if path is None:
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type="message/rfc822")


async def _forget(request: web.Request) -> web.Response:
    for path in _mails(request.app[_FOLDER]):
        path.unlink(missing_ok=True)
    return web.Response(status=204)


async def _serve(smtp_port: int, api_port: int, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    keeper = _Keeper(folder)

    def protocol() -> SMTP:
        return SMTP(keeper, data_size_limit=_LARGEST_MAIL_BYTES, enable_SMTPUTF8=True)

    await loop.create_server(protocol, LOOPBACK, smtp_port)
    application = web.Application()
    application[_FOLDER] = folder
    application.router.add_get("/messages", _list)
    application.router.add_get("/messages/{id}.eml", _one)
    application.router.add_delete("/messages", _forget)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, api_port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
