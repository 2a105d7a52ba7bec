"""Where notifications go: the customers' webhook endpoints and the mail server, in memory.

Both write down whatever reaches them, also where the sender is told something else or nothing.
"""

import asyncio
import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import BytesParser
from email.policy import default
from email.utils import format_datetime
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest import mock

import aiohttp
import aiosmtplib
from multidict import CIMultiDict, CIMultiDictProxy
from standardwebhooks import Webhook
from tests.simulator.chain import Node

from notification.providers import smtp, webhook_loop

TOLERANCE_S = 300
"""How far a webhook's timestamp may be from the receiver's clock, as the standard has it."""

REACHED = (
    "receiver.failed",
    "receiver.throttled",
    "receiver.refused_connection",
    "receiver.timed_out_before",
    "receiver.timed_out_after",
    "receiver.reset_after",
    "receiver.slow",
    "receiver.slow_body",
    "receiver.redirected",
    "receiver.gone",
    "receiver.told_twice",
    "mail.connection_refused",
    "mail.transient",
    "mail.disconnected_before",
    "mail.disconnected_after",
    "mail.timed_out_after",
    "mail.refused_for_good",
    "mail.slow",
    "mail.sent_twice",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverFaults:
    """Probabilities for each attempt, all 0 by default; the last is for each endpoint."""

    failed: float = 0.0
    """An answer of 500 to 504; half of them after the event was taken."""
    throttled: float = 0.0
    refused_connection: float = 0.0
    timed_out_before: float = 0.0
    timed_out_after: float = 0.0
    reset_after: float = 0.0
    """The event is taken, the connection breaks before the answer."""
    slow: float = 0.0
    slow_body: float = 0.0
    """The status comes at once, the body of the answer never."""
    redirected: float = 0.0
    gone: float = 0.0
    """The endpoint answers 410 from now on."""
    latency_s_max: float = 0.02
    retry_after_s_max: int = 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """An attempt that reached an endpoint."""

    url: str
    webhook_id: str
    timestamp: str
    signatures: tuple[str, ...]
    body: bytes
    at: datetime
    taken: bool
    """Whether the receiver did what the event calls for."""
    status: int | None
    """What it answered; None where the sender got no answer."""


class Receivers:
    """All webhook endpoints there are."""

    def __init__(
        self,
        chooser: random.Random,
        now: Callable[[], datetime],
        faults: ReceiverFaults = ReceiverFaults(),
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`now` is the clock of the receivers."""
        self.faults = faults
        self.gone: set[str] = set()
        """Endpoints that will never take anything again."""
        self.secrets: dict[str, list[str]] = {}
        self._chooser, self._now, self._reached = chooser, now, reached
        self._arrived: list[Arrival] = []

    def expect(self, url: str, secret: str) -> None:
        """Tell the owner of an endpoint a secret with which its events are signed."""
        self.secrets.setdefault(url, []).append(secret)

    def arrivals(self) -> list[Arrival]:
        """Everything that reached an endpoint, in order."""
        return list(self._arrived)

    def calm(self) -> None:
        """From now on every endpoint that is not gone takes everything at once."""
        self.faults = ReceiverFaults()

    @contextlib.contextmanager
    def installed(self, node_of: Callable[[], Node | None] = lambda: None) -> Iterator[None]:
        """Have every session that the service opens meanwhile lead here."""

        def open_session(_: object, *, connections: int, timeout_s: int) -> "_Session":
            del connections
            return _Session(self, node_of(), timeout_s)

        with mock.patch.object(webhook_loop, "open_session", open_session):
            yield

    async def serve(self, post: "_Post", timeout_s: float) -> "_Response":
        """One attempt; raises what aiohttp raises where no answer comes."""
        faults = self.faults
        await asyncio.sleep(self._chooser.uniform(0, faults.latency_s_max))
        if self._happens(faults.refused_connection, "receiver.refused_connection"):
            raise _refused(post.url)
        if self._happens(faults.timed_out_before, "receiver.timed_out_before"):
            await _time_out(timeout_s)
        if self._happens(faults.slow, "receiver.slow"):
            await asyncio.sleep(self._chooser.uniform(0.2, 0.95) * timeout_s)
        status, headers, taken = self._verdict(post)
        if self._happens(faults.timed_out_after, "receiver.timed_out_after"):
            self._take(post, None, taken=True)
            await _time_out(timeout_s)
        if self._happens(faults.reset_after, "receiver.reset_after"):
            self._take(post, None, taken=True)
            raise aiohttp.ServerDisconnectedError
        self._take(post, status, taken=taken)
        await asyncio.sleep(self._chooser.uniform(0, faults.latency_s_max))
        endless = self._happens(faults.slow_body, "receiver.slow_body")
        return _Response(status, headers, b"answered", endless=endless)

    def _verdict(self, post: "_Post") -> tuple[int, dict[str, str], bool]:
        """Status, headers, and whether the event was taken."""
        url = post.url
        if url not in self.gone and self._happens(self.faults.gone):
            self.gone.add(url)
        if url in self.gone:
            self._reached("receiver.gone")
            return 410, {}, False
        if self._happens(self.faults.failed, "receiver.failed"):
            status = self._chooser.choice([500, 502, 503, 504])
            return status, {}, self._chooser.random() < 0.5
        if self._happens(self.faults.throttled, "receiver.throttled"):
            return 429, {"Retry-After": self._retry_after(post)}, False
        if self._happens(self.faults.redirected, "receiver.redirected"):
            status = self._chooser.choice([301, 302, 307, 308])
            return status, {"Location": "https://elsewhere.example.org/"}, False
        return self._chooser.choice([200, 201, 202, 204]), {}, True

    def _retry_after(self, post: "_Post") -> str:
        """In seconds, as a date by the sender's own clock, or as nonsense."""
        seconds = self._chooser.randint(0, self.faults.retry_after_s_max)
        sent_at = datetime.fromtimestamp(int(post.headers["webhook-timestamp"]), UTC)
        date = sent_at + timedelta(seconds=seconds)
        return self._chooser.choice([str(seconds), format_datetime(date, usegmt=True), "soon"])

    def _take(self, post: "_Post", status: int | None, *, taken: bool) -> None:
        names = {name.lower(): value for name, value in post.headers.items()}
        arrival = Arrival(
            url=post.url,
            webhook_id=names.get("webhook-id", ""),
            timestamp=names.get("webhook-timestamp", ""),
            signatures=tuple(names.get("webhook-signature", "").split()),
            body=post.body,
            at=self._now(),
            taken=taken,
            status=status,
        )
        if taken and (arrival.url, arrival.webhook_id) in {
            (known.url, known.webhook_id) for known in self._arrived if known.taken
        }:
            self._reached("receiver.told_twice")
        self._arrived.append(arrival)

    def _happens(self, chance: float, mark: str = "") -> bool:
        if chance <= 0 or self._chooser.random() >= chance:
            return False
        if mark:
            self._reached(mark)
        return True


@dataclass(frozen=True, slots=True)
class _Post:
    url: str
    headers: Mapping[str, str]
    body: bytes


class _Session:
    """What the service's sender needs of an `aiohttp.ClientSession`."""

    def __init__(self, receivers: Receivers, node: Node | None, timeout_s: float) -> None:
        self._receivers, self._node, self._timeout_s = receivers, node, timeout_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """There is nothing to close."""

    @contextlib.asynccontextmanager
    async def post(
        self, url: Any, *, data: bytes, headers: Mapping[str, str], allow_redirects: bool
    ) -> Any:
        if allow_redirects:
            raise AssertionError("a webhook must not follow redirects")
        if self._node is not None and not self._node.alive:
            raise aiohttp.ClientOSError("the process is gone")
        response = await self._receivers.serve(_Post(str(url), headers, data), self._timeout_s)
        try:
            yield response
        finally:
            response.close()


class _Response:
    """What the service's sender reads of an answer."""

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, *, endless: bool
    ) -> None:
        self.status = status
        self.headers = CIMultiDictProxy(CIMultiDict(headers))
        self.content = self
        self._body, self._endless = body, endless

    async def read(self, count: int = -1) -> bytes:
        """The next bytes of the body, at most so many."""
        if self._endless and not self._body:
            await asyncio.get_running_loop().create_future()
        count = len(self._body) if count < 0 else count
        chunk, self._body = self._body[:count], self._body[count:]
        return chunk

    def close(self) -> None:
        """There is nothing to close."""


def _refused(url: str) -> aiohttp.ClientConnectorError:
    place = SimpleNamespace(host=url, port=443, ssl=True, is_ssl=True)
    return aiohttp.ClientConnectorError(place, ConnectionRefusedError(111, "refused"))


async def _time_out(timeout_s: float) -> None:
    await asyncio.sleep(timeout_s)
    raise TimeoutError


def verdict_of_webhooks(
    receivers: Receivers,
    expected: Mapping[str, Collection[str]] | None = None,
    *,
    tolerance_s: float = TOLERANCE_S,
) -> list[str]:
    """What is wrong with what the endpoints got, asked when everything has become quiet.

    `expected` names, by URL, the ids of the events an endpoint had to be told; one that is gone
    need not have been. `tolerance_s` allows for a sender whose clock is wrong.
    """
    found: list[str] = []
    bodies: dict[tuple[str, str], bytes] = {}
    for arrival in receivers.arrivals():
        found += _wrong_with_arrival(receivers, arrival, tolerance_s)
        known = bodies.setdefault((arrival.url, arrival.webhook_id), arrival.body)
        if known != arrival.body:
            found.append(f"{arrival.url}: {arrival.webhook_id} came with two bodies")
    taken = {(one.url, one.webhook_id) for one in receivers.arrivals() if one.taken}
    for url, ids in (expected or {}).items():
        told = {webhook_id for at, webhook_id in bodies if at == url}
        if url not in receivers.gone:
            missing = sorted(one for one in ids if (url, one) not in taken)
            found += [f"{url}: was never told {one}" for one in missing]
        found += [f"{url}: was told {one}, not asked for" for one in sorted(told - set(ids))]
    return found


def _wrong_with_arrival(receivers: Receivers, arrival: Arrival, tolerance_s: float) -> list[str]:
    where, found = f"{arrival.url}: {arrival.webhook_id}", []
    named = json.loads(arrival.body).get("id")
    if named != arrival.webhook_id:
        found.append(f"{where} names itself {named}")
    moment = datetime.fromtimestamp(int(arrival.timestamp), UTC)
    if abs((moment - arrival.at).total_seconds()) > tolerance_s:
        found.append(f"{where} says it is of {moment}, and came at {arrival.at}")
    signed = {
        Webhook(secret).sign(arrival.webhook_id, moment, arrival.body.decode())
        for secret in receivers.secrets.get(arrival.url, [])
    }
    if not signed & set(arrival.signatures):
        found.append(f"{where} is not signed by any secret of its endpoint")
    return found


# -- mail --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFaults:
    """Probabilities, all 0 by default, for each command; the last one is for each address."""

    connection_refused: float = 0.0
    transient: float = 0.0
    """Sender, recipient or text is refused for now (4xx)."""
    disconnected_before: float = 0.0
    """The connection is lost before the server has the mail."""
    disconnected_after: float = 0.0
    """The connection is lost after the server has the mail, before it says so."""
    timed_out_after: float = 0.0
    slow: float = 0.0
    bad_address: float = 0.0
    """The server will never take mail for it (5xx)."""
    latency_s_max: float = 0.02


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail the server took."""

    message_id: str
    recipient: str
    subject: str
    content: str
    """Headers and texts, without what differs between two writings of one mail."""
    at: datetime


@dataclass(slots=True)
class MailBox:
    """The mail server, and every mailbox behind it."""

    chooser: random.Random
    now: Callable[[], datetime]
    faults: MailFaults = field(default_factory=MailFaults)
    reached: Callable[[str], None] = lambda _: None
    mails: list[Mail] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Addresses for which no mail is ever taken."""
    _judged: set[str] = field(default_factory=set)

    def calm(self) -> None:
        """From now on the server takes everything for addresses it knows."""
        self.faults = MailFaults()

    @contextlib.contextmanager
    def installed(self, node_of: Callable[[], Node | None] = lambda: None) -> Iterator[None]:
        """Have every connection the service opens meanwhile lead here."""
        with mock.patch.object(smtp, "aiosmtplib", _Aiosmtplib(self, node_of)):
            yield

    def is_refused(self, address: str) -> bool:
        """Whether the server never takes mail for an address; decided once."""
        if address not in self._judged:
            self._judged.add(address)
            if self.happens(self.faults.bad_address):
                self.refused.add(address)
        return address in self.refused

    def take(self, recipient: str, raw: bytes) -> None:
        """Accept a mail."""
        message = BytesParser(policy=default).parsebytes(raw)
        mail = Mail(
            message_id=str(message["Message-ID"]),
            recipient=recipient,
            subject=str(message["Subject"]),
            content=_content_of(message),
            at=self.now(),
        )
        if any(known.message_id == mail.message_id for known in self.mails):
            self.reached("mail.sent_twice")
        self.mails.append(mail)

    def happens(self, chance: float, mark: str = "") -> bool:
        """Whether a fault takes effect now."""
        if chance <= 0 or self.chooser.random() >= chance:
            return False
        if mark:
            self.reached(mark)
        return True


class _Aiosmtplib:
    """The module aiosmtplib, apart from the network."""

    def __init__(self, box: MailBox, node_of: Callable[[], Node | None]) -> None:
        self._box, self._node_of = box, node_of

    def __getattr__(self, name: str) -> Any:
        return getattr(aiosmtplib, name)

    def SMTP(self, *, timeout: float, **_: Any) -> "_Connection":
        return _Connection(self._box, self._node_of(), timeout)


class _Connection:
    """What the service needs of an `aiosmtplib.SMTP`."""

    def __init__(self, box: MailBox, node: Node | None, timeout_s: float) -> None:
        self._box, self._node, self._timeout_s = box, node, timeout_s
        self._sender = self._recipient = ""
        self.is_connected = False

    async def connect(self) -> None:
        await self._wait()
        if self._box.happens(self._box.faults.connection_refused, "mail.connection_refused"):
            raise aiosmtplib.SMTPConnectError("connection refused")
        self.is_connected = True

    async def mail(self, sender: str) -> None:
        await self._command()
        if self._box.happens(self._box.faults.transient, "mail.transient"):
            raise aiosmtplib.SMTPSenderRefused(451, "try again later", sender)
        self._sender = sender

    async def rcpt(self, recipient: str) -> None:
        await self._command()
        if self._box.is_refused(recipient):
            self._box.reached("mail.refused_for_good")
            raise aiosmtplib.SMTPRecipientRefused(550, "no such mailbox", recipient)
        if self._box.happens(self._box.faults.transient, "mail.transient"):
            raise aiosmtplib.SMTPRecipientRefused(450, "mailbox busy", recipient)
        self._recipient = recipient

    async def data(self, raw: bytes) -> None:
        await self._command()
        box, faults = self._box, self._box.faults
        if not self._sender or not self._recipient:
            raise aiosmtplib.SMTPDataError(503, "no sender or no recipient")
        if box.happens(faults.transient, "mail.transient"):
            raise aiosmtplib.SMTPDataError(452, "out of space")
        box.take(self._recipient, raw)
        self._sender = self._recipient = ""
        await self._wait()
        if box.happens(faults.disconnected_after, "mail.disconnected_after"):
            self.is_connected = False
            raise aiosmtplib.SMTPServerDisconnected("connection lost")
        if box.happens(faults.timed_out_after, "mail.timed_out_after"):
            await asyncio.sleep(self._timeout_s)
            raise aiosmtplib.SMTPReadTimeoutError("no answer in time")

    async def rset(self) -> None:
        await self._command()
        self._sender = self._recipient = ""

    def close(self) -> None:
        self.is_connected = False

    async def _command(self) -> None:
        if not self.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("not connected")
        await self._wait()
        if self._box.happens(self._box.faults.disconnected_before, "mail.disconnected_before"):
            self.is_connected = False
            raise aiosmtplib.SMTPServerDisconnected("connection lost")

    async def _wait(self) -> None:
        faults = self._box.faults
        await asyncio.sleep(self._box.chooser.uniform(0, faults.latency_s_max))
        if self._box.happens(faults.slow, "mail.slow"):
            await asyncio.sleep(self._box.chooser.uniform(0, 0.9) * self._timeout_s)
        if self._node is not None and not self._node.alive:
            raise aiosmtplib.SMTPServerDisconnected("the process is gone")


def verdict_of_mails(
    box: MailBox,
    issued: Collection[tuple[str, str]] = (),
    *,
    expected_ids: Collection[str] | None = None,
) -> list[str]:
    """What is wrong with the mails, asked when everything has become quiet.

    `issued` names the number and recipient of every invoice that had to be announced by mail;
    `expected_ids` are the Message-IDs of all mails there are to be, where they are known.
    """
    contents: dict[str, str] = {}
    found = [
        f"{mail.message_id} is two different mails"
        for mail in box.mails
        if contents.setdefault(mail.message_id, mail.content) != mail.content
    ]
    announced = {
        (match[1], mail.recipient, mail.message_id)
        for mail in box.mails
        if (match := re.match(r"Invoice (\S+) from ", mail.subject))
    }
    for (number, recipient), count in sorted(Counter(one[:2] for one in announced).items()):
        if count > 1:
            found.append(f"{number} was announced to {recipient} by {count} different mails")
    told = {one[:2] for one in announced}
    found += [
        f"{number} was never announced to {recipient}"
        for number, recipient in sorted(issued)
        if recipient not in box.refused and (number, recipient) not in told
    ]
    if expected_ids is not None:
        stray = sorted(contents.keys() - set(expected_ids))
        found += [f"{message_id} is a mail nobody knows of" for message_id in stray]
    return found


def _content_of(message: Message) -> str:
    """The mail without the boundary between its parts, which is new at each writing."""
    headers = [f"{name}: {value}" for name, value in message.items() if name != "Content-Type"]
    parts = [str(part.get_content()) for part in message.walk() if not part.is_multipart()]
    return "\n".join(headers + parts)
