"""The people: companies whose programs write invoices, and payers who pay them, more or less.

A company's program never takes silence for an answer: it repeats a request under the same key
until it is told what became of it, and writes down what it was told. At the end every word of that
has to be true.
"""

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.simulator.chain import Paid, SimChain

Call = Callable[
    [str, str, Mapping[str, str], bytes], Awaitable[tuple[int, Mapping[str, str], bytes]]
]
"""Method, path, headers and body to status, headers and body; raises `LOST` for lost answers."""
UNITS_PER_MINOR = 10_000
"""Units of a token (six decimals) in a cent."""
TAX_PPM = 190_000
PPM = 1_000_000
DEAD = frozenset({"void", "deleted"})

REACHED = (
    "client.hung_up",
    "client.answer_forgotten",
    "client.answer_lost",
    "client.told_5xx",
    "client.told_429",
    "client.told_in_progress",
    "client.repeated_until_answered",
    "client.replayed",
    "client.sent_twice_at_once",
    "client.key_reused_and_refused",
    "client.waited_for_wallet",
    "client.edited",
    "client.stale_edit_refused",
    "client.deleted",
    "client.voided",
    "client.void_refused",
    "client.issue_failed",
    "client.issued_again",
    "client.webhook_registered",
    "payer.nothing",
    "payer.exact",
    "payer.parts",
    "payer.over",
    "payer.within_tolerance",
    "payer.under",
    "payer.twice",
    "payer.together",
    "payer.late",
    "payer.wrong_token",
    "payer.wrong_memo",
    "payer.dust",
    "payer.paid_void_invoice",
)


class AnswerLost(Exception):
    """The connection broke: nobody knows what became of the request."""


class Unreadable(Exception):
    """What was acknowledged is not there."""


LOST = (AnswerLost, TimeoutError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFaults:
    """Probabilities, all 0 by default."""

    hangs_up: float = 0.0
    """Of each try: that the client stops waiting; the request goes on without it."""
    forgets: float = 0.0
    """Of each try: that the answer comes and is lost before it is written down."""
    twice_at_once: float = 0.0
    """Of each request: that two of the same are sent at the same moment."""
    repeats: float = 0.0
    """Of each acknowledged request: that it is sent once more, later."""
    reuses_key: float = 0.0
    """Of each acknowledged request: that its key comes again with another body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a company writes invoices: probabilities, and times in seconds."""

    drafts: float = 0.5
    """That an invoice is drafted first, and issued by a request of its own."""
    edits: float = 0.5
    deletes: float = 0.1
    voids: float = 0.15
    waits: float = 0.3
    """That the client prefers to wait for the wallet."""
    not_served: float = 0.03
    """That an invoice is in a currency for which no token is taken."""
    tolerant: float = 0.4
    taxed: float = 0.5
    pause_s_max: float = 2.0
    void_after_s_max: float = 6.0
    due_s_max: int = 20
    ttl_s_max: int = 25
    watch_window_s_max: int = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told in the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body) if self.body else None

    @property
    def code(self) -> str:
        """The stable name of a refusal; empty where it is none."""
        found = self.json if self.status >= 400 else None
        return str(found.get("code", "")) if isinstance(found, dict) else ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request under a key, to be sent as often as it takes."""

    method: str
    path: str
    key: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class Bill:
    """An invoice as its company remembers it: only what was acknowledged."""

    id: str
    asset: str
    total_minor: int
    tolerance_minor: int
    state: str = "draft"
    """draft, issuing, open, failed, void or deleted, as last told."""
    number: str | None = None
    address: str | None = None
    email: str | None = None
    """Who is told of it by mail."""
    plan: str = ""
    paid: list[tuple[str, int, str]] = field(default_factory=list)
    """Asset, units and transaction of what the payer sent."""


class Client:
    """One company's program."""

    def __init__(
        self,
        name: str,
        call: Call,
        api_key: str,
        *,
        chooser: random.Random,
        now: Callable[[], datetime],
        faults: ClientFaults = ClientFaults(),
        habits: Habits = Habits(),
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`name` begins the keys of all its requests."""
        self.name = name
        self.faults = faults
        self.bills: list[Bill] = []
        self.customers: dict[str, str] = {}
        """Acknowledged customers: id to e-mail address."""
        self.endpoints: dict[str, str] = {}
        """Acknowledged webhook endpoints: URL to id."""
        self.findings: list[str] = []
        """What it was told that cannot be right."""
        self.acknowledged = 0
        self._call, self._api_key = call, api_key
        self._chooser, self._now, self._habits, self._reached = chooser, now, habits, reached
        self._keys = self._written_to = 0
        self._unheard: set[asyncio.Task[Any]] = set()

    # -- the life of a company -----------------------------------------------------------------

    async def run(self, invoices: int, payer: "Payer | None" = None) -> None:
        """Write so many invoices, each on its own; returns when all is acknowledged and paid."""
        async with asyncio.TaskGroup() as group:
            for _ in range(invoices):
                await asyncio.sleep(self._chooser.uniform(0, self._habits.pause_s_max))
                group.create_task(self._bill(payer))

    async def _bill(self, payer: "Payer | None") -> None:
        try:
            await self._life_of_a_bill(payer)
        except* Unreadable:
            pass  # it is among the findings

    async def _life_of_a_bill(self, payer: "Payer | None") -> None:
        customer = await self._customer() if self._chance(0.8) else None
        bill = await self._written(customer)
        if bill is None or bill.state == "deleted":
            return
        view = await self._opened(bill)
        if view is None:
            return
        async with asyncio.TaskGroup() as group:
            if payer is not None:
                group.create_task(payer.pay_for(self, bill, view))
            if self._chance(self._habits.voids):
                group.create_task(self._void(bill))

    async def register_webhook(self, url: str, event_types: Sequence[str] = ("*",)) -> str:
        """Have events sent to a receiver; its secret."""
        body = {"url": url, "event_types": list(event_types)}
        answer = await self.submit("POST", "/api/v1/webhook-endpoints", body)
        assert answer.status == 201, answer
        self.endpoints[url] = answer.json["id"]
        self._reached("client.webhook_registered")
        return str(answer.json["secret"])

    async def _customer(self) -> str | None:
        if self.customers and self._chance(0.5):
            return self._chooser.choice(list(self.customers))
        self._written_to += 1
        address = f"{self.name}.{self._written_to}@customers.example.org"
        body = {"name": f"Customer {self._written_to}", "email": address}
        answer = await self.submit("POST", "/api/v1/customers", body)
        if answer.status != 201:
            self._complain(f"a customer was refused: {_short(answer)}")
            return None
        self.customers[answer.json["id"]] = address
        return str(answer.json["id"])

    async def _written(self, customer: str | None) -> Bill | None:
        """An invoice that is being issued, or was thrown away again."""
        wish, total = self._wish(customer)
        at_once = not self._chance(self._habits.drafts)
        headers = self._preference() if at_once else {}
        answer = await self.submit("POST", "/api/v1/invoices", wish | {"issue": at_once}, headers)
        if answer.status != 201:
            self._complain(f"an invoice was refused: {_short(answer)}")
            return None
        view = answer.json
        bill = Bill(view["id"], wish["asset"], total, wish["tolerance"]["amount_minor"])
        bill.email = self.customers.get(customer or "")
        self.bills.append(bill)
        self._compare(bill, view)
        if at_once:
            bill.state = "issuing"
            return bill
        version = view["version"]
        while self._chance(self._habits.edits):
            version = await self._edit(bill, version)
        if self._chance(self._habits.deletes):
            await self._delete(bill, version)
            return bill
        await self._issue(bill, version)
        return bill

    def _wish(self, customer: str | None) -> tuple[dict[str, Any], int]:
        habits, choose = self._habits, self._chooser
        due_at = self._now() + timedelta(seconds=choose.randint(1, habits.due_s_max))
        lines, total = self._lines()
        asset = "EUR" if self._chance(habits.not_served) else "USD"
        wish: dict[str, Any] = {
            "asset": asset,
            "due_at": due_at.isoformat(timespec="seconds"),
            "lines": lines,
            "tolerance": {"amount_minor": 5 if self._chance(habits.tolerant) else 0},
            "wallet": {
                "ttl_s": choose.randint(3, habits.ttl_s_max),
                "watch_window_s": choose.randint(1, habits.watch_window_s_max),
            },
        }
        return (wish | {"customer_id": customer} if customer else wish), total

    def _lines(self) -> tuple[list[dict[str, Any]], int]:
        """One line, and what it comes to by the client's own reckoning."""
        quantity, price = self._chooser.randint(1, 9), self._chooser.randint(10, 99_999)
        line: dict[str, Any] = {
            "description": "Work",
            "quantity": str(quantity),
            "unit_price_minor": price,
        }
        net, tax = quantity * price, 0
        if self._chance(self._habits.taxed):
            line["taxes"] = [{"code": "S", "name": "VAT", "rate_ppm": TAX_PPM}]
            tax = (net * TAX_PPM + PPM // 2) // PPM
        return [line], net + tax

    async def _edit(self, bill: Bill, version: int) -> int:
        """Change the amount of a draft; its version afterwards."""
        lines, total = self._lines()
        path, match = f"/api/v1/invoices/{bill.id}", {"If-Match": f'"{version}"'}
        answer = await self.submit("PATCH", path, {"lines": lines}, match)
        if answer.status != 200:
            self._complain(f"a draft nobody else knows could not be edited: {_short(answer)}")
            return version
        bill.total_minor = total
        self._compare(bill, answer.json)
        self._reached("client.edited")
        later = int(answer.json["version"])
        if later != version and self._chance(0.3):
            stale = await self.submit("PATCH", path, {"reference": "stale"}, match)
            if stale.status != 412:
                self._complain(f"a change to an old version was not refused: {_short(stale)}")
            self._reached("client.stale_edit_refused")
        return later

    async def _delete(self, bill: Bill, version: int) -> None:
        match = {"If-Match": f'"{version}"'}
        answer = await self.submit("DELETE", f"/api/v1/invoices/{bill.id}", None, match)
        if answer.status != 204:
            self._complain(f"a draft could not be deleted: {_short(answer)}")
            return
        bill.state = "deleted"
        self._reached("client.deleted")

    async def _issue(self, bill: Bill, version: int | None = None) -> None:
        match = {"If-Match": f'"{version}"'} if version is not None else {}
        headers = match | self._preference()
        answer = await self.submit("POST", f"/api/v1/invoices/{bill.id}/issue", None, headers)
        if answer.status != 200:
            self._complain(f"an invoice could not be issued: {_short(answer)}")
            return
        bill.state = "issuing"
        self._compare(bill, answer.json)

    async def _opened(self, bill: Bill) -> Any:
        """The invoice once it is open; None where no rail serves it."""
        tries = 0
        while True:
            view = await self.look(f"/api/v1/invoices/{bill.id}")
            self._compare(bill, view)
            document = view["status"]["document"]
            if document in ("open", "closed"):
                bill.state, bill.number = "open", view["number"]
                bill.address = view["wallet"]["address"].lower()
                return view
            if document == "issue_failed":
                self._reached("client.issue_failed")
                bill.state, tries = "failed", tries + 1
                if bill.asset != "USD" or tries > 20:
                    return None
                await asyncio.sleep(self._chooser.uniform(1, 5))
                self._reached("client.issued_again")
                await self._issue(bill)
            elif document != "issuing":
                self._complain(f"{bill.id} was issued, and is {document}")
                return None
            await asyncio.sleep(self._chooser.uniform(0.1, 0.6))

    async def _void(self, bill: Bill) -> None:
        await asyncio.sleep(self._chooser.uniform(0, self._habits.void_after_s_max))
        path = f"/api/v1/invoices/{bill.id}/void"
        answer = await self.submit("POST", path, {"reason": "called off"})
        if answer.status == 200:
            bill.state = "void"
            self._compare(bill, answer.json)
            self._reached("client.voided")
        elif answer.code in ("invoice_has_money", "invoice_not_open"):
            self._reached("client.void_refused")
        else:
            self._complain(f"an invoice could not be voided: {_short(answer)}")

    def _preference(self) -> dict[str, str]:
        if not self._chance(self._habits.waits):
            return {}
        return {"Prefer": f"wait={self._chooser.randint(1, 5)}"}

    @property
    def announced(self) -> set[tuple[str, str]]:
        """Number and recipient of every invoice that has to be told of by mail."""
        return {(bill.number, bill.email) for bill in self.bills if bill.number and bill.email}

    # -- requests ------------------------------------------------------------------------------

    async def submit(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a write until it is known what became of it; then, perhaps, once more."""
        self._keys += 1
        given = b"" if body is None else json.dumps(body).encode()
        sent = Sent(method, path, f"{self.name}-{self._keys}", given, headers or {})
        answer = await self._until_answered(sent)
        if answer.status < 300:
            if "preference-applied" in answer.headers:
                self._reached("client.waited_for_wallet")
            self.acknowledged += 1
            await self._doubt(sent, answer)
        elif answer.code == "idempotency_key_reused":
            self._complain(f"{method} {path}: a new key is said to be used: {_short(answer)}")
        return answer

    async def _until_answered(self, sent: Sent) -> Answer:
        if self._chance(self.faults.twice_at_once):
            self._reached("client.sent_twice_at_once")
            first, second = await asyncio.gather(self._persist(sent), self._persist(sent))
            # Refused ones leave no record, so only two acknowledgements have to agree.
            if first.status < 300 and second.status < 300:
                self._agree(sent, first, second)
            return first if first.status < 300 else second
        return await self._persist(sent)

    async def _persist(self, sent: Sent) -> Answer:
        tries = 0
        while True:
            answer = await self._try(sent)
            if answer is not None and not self._is_passing(answer):
                if tries:
                    self._reached("client.repeated_until_answered")
                return answer
            tries += 1
            wait = self._chooser.uniform(0.05, min(5.0, 0.2 * 2 ** min(tries, 6)))
            if answer is not None and answer.headers.get("retry-after", "").isdigit():
                wait = max(wait, min(float(answer.headers["retry-after"]), 30.0))
            await asyncio.sleep(wait)

    def _is_passing(self, answer: Answer) -> bool:
        """Whether the answer says: not now."""
        if answer.status >= 500:
            self._reached("client.told_5xx")
        elif answer.status == 429:
            self._reached("client.told_429")
        elif answer.code == "request_in_progress":
            self._reached("client.told_in_progress")
        else:
            return False
        return True

    async def _try(self, sent: Sent) -> Answer | None:
        """One try; None where no answer came or it was lost."""
        headers = {"Authorization": f"Bearer {self._api_key}", **sent.headers}
        if sent.body:
            headers["Content-Type"] = "application/json"
        if sent.key:
            headers["Idempotency-Key"] = sent.key
        asked = asyncio.ensure_future(self._call(sent.method, sent.path, headers, sent.body))
        if self._chance(self.faults.hangs_up):
            await asyncio.wait({asked}, timeout=self._chooser.uniform(0, 1.5))
            if not asked.done():
                self._leave(asked)
                self._reached("client.hung_up")
                return None
        try:
            status, told, body = await asked
        except LOST:
            self._reached("client.answer_lost")
            return None
        if self._chance(self.faults.forgets):
            self._reached("client.answer_forgotten")
            return None
        return Answer(status, {name.lower(): value for name, value in told.items()}, body)

    def _leave(self, asked: "asyncio.Future[Any]") -> None:
        """Nobody waits for it any more; what it comes to is nobody's business."""

        def ended(done: "asyncio.Future[Any]") -> None:
            self._unheard.discard(done)
            if not done.cancelled():
                done.exception()

        self._unheard.add(asked)
        asked.add_done_callback(ended)

    async def _doubt(self, sent: Sent, answer: Answer) -> None:
        """Perhaps repeat what was acknowledged, or use its key for something else."""
        if self._chance(self.faults.repeats):
            await asyncio.sleep(self._chooser.uniform(0, 3))
            again = await self._persist(sent)
            if again.headers.get("idempotency-replayed") == "true":
                self._reached("client.replayed")
            else:
                self._complain(f"{sent.method} {sent.path}: a repeat was no replay")
            self._agree(sent, answer, again)
        if sent.body and self._chance(self.faults.reuses_key):
            other = json.dumps(json.loads(sent.body) | {"reference": "another body"}).encode()
            refused = await self._persist(
                Sent(sent.method, sent.path, sent.key, other, sent.headers)
            )
            if (refused.status, refused.code) == (422, "idempotency_key_reused"):
                self._reached("client.key_reused_and_refused")
            elif refused.code != "invalid_request":
                self._complain(f"{sent.method} {sent.path}: a used key took another body")

    def _agree(self, sent: Sent, one: Answer, other: Answer) -> None:
        """Two acknowledgements of one key are the same, byte for byte.

        An answer that was held for the wallet shows the invoice later than the stored one does.
        """
        what = f"{sent.method} {sent.path} under one key"
        if one.status != other.status:
            self._complain(f"{what} was answered by {one.status} and {other.status}")
        held = [item for item in (one, other) if "preference-applied" in item.headers]
        if held:
            if one.json["id"] != other.json["id"]:
                self._complain(f"{what} made {one.json['id']} and {other.json['id']}")
            return
        if one.body != other.body or one.headers.get("etag") != other.headers.get("etag"):
            self._complain(f"{what} was answered by {one.body!r} and {other.body!r}")

    async def look(self, path: str) -> Any:
        """Read a resource that must be there; raises `Unreadable`."""
        answer = await self._persist(Sent("GET", path, "", b"", {}))
        if answer.status != 200:
            self._complain(f"what was acknowledged cannot be read: {path}: {_short(answer)}")
            raise Unreadable(path)
        return answer.json

    async def look_for(self, path: str) -> Answer:
        """Read whatever there is."""
        return await self._persist(Sent("GET", path, "", b"", {}))

    def _compare(self, bill: Bill, view: Any) -> None:
        told = (view["id"], view["total"]["amount_minor"], view["total"]["asset"])
        if told != (bill.id, bill.total_minor, bill.asset):
            self._complain(
                f"{bill.id} asks {bill.total_minor} {bill.asset}, and is shown as {told}"
            )

    def _complain(self, finding: str) -> None:
        self.findings.append(f"{self.name}: {finding}")

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self._chooser.random() < probability

    def calm(self) -> None:
        """From now on the client behaves."""
        self.faults = ClientFaults()


class Payer:
    """Whoever pays: in full, in part, too much, too late, or with the wrong money."""

    PLANS = (
        ("exact", 8),
        ("parts", 4),
        ("nothing", 2),
        ("over", 2),
        ("within_tolerance", 2),
        ("under", 2),
        ("twice", 2),
        ("together", 2),
        ("late", 3),
        ("wrong_token", 2),
        ("wrong_memo", 1),
        ("dust", 1),
    )

    def __init__(
        self,
        chain: SimChain,
        *,
        chooser: random.Random,
        now: Callable[[], datetime],
        reached: Callable[[str], None] = lambda _: None,
        plans: Sequence[tuple[str, int]] = PLANS,
    ) -> None:
        """`plans` are names of ways to pay and how often each is chosen."""
        self._chain, self._chooser, self._now, self._reached = chain, chooser, now, reached
        self._plans = plans

    async def pay_for(self, client: Client, bill: Bill, view: Any) -> None:
        """Read how an open invoice is paid, and do it, in some way."""
        view = await self._instructions(client, view)
        memo = bytes.fromhex(view["memo"].removeprefix("0x")) if view["memo"] else None
        names = [name for name, _ in self._plans]
        (bill.plan,) = self._chooser.choices(names, [weight for _, weight in self._plans])
        asset = self._chooser.choice(view["accepted_assets"])
        await asyncio.sleep(self._chooser.uniform(0, 4))
        for wait_s, code, units, note in self._parts(bill, asset, memo, view):
            await asyncio.sleep(wait_s)
            transaction = await self._chain.pay(bill.address or "", code, units, note)
            bill.paid.append((code, units, transaction))
            if bill.state == "void":
                self._reached("payer.paid_void_invoice")
        if bill.plan == "together":
            half = bill.total_minor * UNITS_PER_MINOR // 2
            moves = [(bill.address or "", asset, half, memo)] * 2
            transaction = self._chain.pay_together(moves)
            bill.paid += [(asset, half, transaction)] * 2
        self._reached(f"payer.{bill.plan}")

    async def _instructions(self, client: Client, view: Any) -> Any:
        """What the payment link says; the same as the invoice's own wallet."""
        token = str(view["payment_link"]).rpartition("/")[2]
        if self._chooser.random() < 0.5:
            shown = await client.look(f"/api/v1/payment-links/{token}")
            if shown["address"] != view["wallet"]["address"]:
                client.findings.append(f"{client.name}: {view['id']} shows two addresses")
            return shown
        return view["wallet"] | {"expires_at": view["expires_at"]}

    def _parts(  # noqa: C901 - one case a plan
        self, bill: Bill, asset: str, memo: bytes | None, view: Any
    ) -> list[tuple[float, str, int, bytes | None]]:
        """Seconds to wait, asset, units and memo of each payment of the plan."""
        choose, due = self._chooser, bill.total_minor * UNITS_PER_MINOR
        memo = memo if choose.random() < 0.8 else None
        match bill.plan:
            case "exact":
                return [(0, asset, due, memo)]
            case "twice":
                return [(0, asset, due, memo), (choose.uniform(0, 8), asset, due, memo)]
            case "over":
                return [(0, asset, due + choose.randint(1, due), memo)]
            case "within_tolerance":
                return [(0, asset, due - bill.tolerance_minor * UNITS_PER_MINOR, memo)]
            case "under":
                less = bill.tolerance_minor * UNITS_PER_MINOR + 1
                return [(0, asset, max(1, due - less), memo)]
            case "dust":
                return [(0, asset, 1, memo)]
            case "wrong_memo":
                return [(0, asset, due, choose.randbytes(32))]
            case "wrong_token":
                code = choose.choice(["MOON1", "PATHUSD*"])
                right = [(choose.uniform(0, 5), asset, due, memo)] if choose.random() < 0.5 else []
                return [(0, code, due, memo), *right]
            case "late":
                expires = datetime.fromisoformat(view["expires_at"])
                left = max(0.0, (expires - self._now()).total_seconds())
                return [(left + choose.uniform(0, 12), asset, due, memo)]
            case "parts":
                cuts = sorted(choose.randint(1, due - 1) for _ in range(choose.randint(1, 3)))
                bounds = [0, *cuts, due]
                units = [high - low for low, high in itertools.pairwise(bounds)]
                return [(choose.uniform(0, 4), asset, one, memo) for one in units if one]
        return []


async def verdict(
    client: Client, truth: Collection[Paid], *, now: datetime, lived_out: bool = False
) -> list[str]:
    """What is wrong with a company's invoices, given the payments that stand on the chain.

    To be asked when everything has become quiet. `lived_out` says that every wallet had the time
    to be destroyed.
    """
    found = list(client.findings)
    for bill in client.bills:
        answer = await client.look_for(f"/api/v1/invoices/{bill.id}")
        if bill.state == "deleted":
            if answer.status != 404:
                found.append(f"{bill.id} was deleted and is there: {_short(answer)}")
        elif answer.status != 200:
            found.append(f"{bill.id} was acknowledged and is not there: {_short(answer)}")
        else:
            wrong = _wrong_with(bill, answer.json, truth, now, lived_out=lived_out)
            found += [f"{client.name}: {bill.id} ({bill.plan}): {what}" for what in wrong]
    for customer, address in client.customers.items():
        answer = await client.look_for(f"/api/v1/customers/{customer}")
        if answer.status != 200 or answer.json["email"] != address:
            found.append(f"{customer} was acknowledged with {address}: {_short(answer)}")
    return found


def _wrong_with(
    bill: Bill, view: Any, truth: Collection[Paid], now: datetime, *, lived_out: bool
) -> list[str]:
    status, found = view["status"], []
    document, settlement = status["document"], status["settlement"]
    shown = (view["total"]["amount_minor"], view["total"]["asset"])
    if shown != (bill.total_minor, bill.asset):
        found.append(f"asks {shown}, was acknowledged as {bill.total_minor} {bill.asset}")
    expected = {
        "void": ("void",),
        "failed": ("issue_failed",),
        "draft": ("draft",),
    }.get(bill.state, ("open", "closed"))
    if document not in expected:
        found.append(f"is {document}, was acknowledged as {bill.state}")
    received = 0 if document == "void" else received_units(bill, truth)
    if view["received_micros"] != received:
        found.append(f"received {view['received_micros']}, the chain has {received}")
    if settlement != (wanted := settlement_of(bill, received)):
        found.append(f"is {settlement}, and should be {wanted}: {received} of {bill.total_minor}")
    if document in ("open", "closed"):
        found += _wrong_with_times(view, now, settled=wanted in ("paid", "overpaid"))
        if lived_out:
            found += _wrong_with_end(view, settled=wanted in ("paid", "overpaid"))
    return found


def received_units(bill: Bill, truth: Collection[Paid]) -> int:
    """What the chain says came to a bill's address in money that counts."""
    counted = {"PATHUSD", "ALPHAUSD"}
    mine = [one for one in truth if one.address == bill.address]
    return sum(one.units for one in mine if one.asset in counted)


def settlement_of(bill: Bill, received: int) -> str:
    """How so much money (units of a token) settles a bill."""
    asked = bill.total_minor * UNITS_PER_MINOR
    if received > asked:
        return "overpaid"
    if received == 0:
        return "unpaid"
    return "paid" if asked - received <= bill.tolerance_minor * UNITS_PER_MINOR else "partial"


def _wrong_with_times(view: Any, now: datetime, *, settled: bool) -> list[str]:
    timeliness = view["status"]["timeliness"]
    if settled:
        good = timeliness in ("on_time", "settled_late", "paid_late")
    elif datetime.fromisoformat(view["expires_at"]) < now:
        good = timeliness == "expired"
    elif datetime.fromisoformat(view["due_at"]) < now:
        good = timeliness == "overdue"
    else:
        good = timeliness == "on_time"
    return [] if good else [f"is {timeliness}, settled: {settled}, at {now}"]


def _wrong_with_end(view: Any, *, settled: bool) -> list[str]:
    if view["wallet"]["destroyed_at"] is None:
        return ["its wallet was not destroyed"]
    if settled != (view["status"]["document"] == "closed"):
        return [f"is {view['status']['document']} after its wallet's end, settled: {settled}"]
    return []


def _short(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:300]!r}"
