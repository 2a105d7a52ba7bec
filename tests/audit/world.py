"""A small world made by the services themselves: tenants, invoices, payments, an end, a reversal.

All seven run on one database, in this process and without a broker: what one states is handed to
those who subscribed to it, and kept as the record it would be on its topic.
"""

import base64
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
from aiokafka import ConsumerRecord
from psycopg import sql

from audit import TopicRecord
from audit.services import SCHEMAS
from chassis.databases import migrate, prepare
from invoiceos_contracts import PLATFORM
from invoiceos_local import tempo_facts
from messaging.outbox import headers_of
from testkit.databases import SEED, ServiceDatabase
from testkit.service import ServiceUnderTest, under_test

KEY = base64.b64encode(bytes(range(32))).decode()
ENVIRONMENT = {
    "INVOICEOS_ENVIRONMENT": "test",
    "INVOICEOS_DATABASE_API_URL": "postgresql://unused",
    "INVOICEOS_DATABASE_WORKER_URL": "postgresql://unused",
    "INVOICEOS_PUBLIC_URL": "https://pay.example.test",
    "INVOICEOS_PERSONAL_DATA_KEY": KEY,
    "INVOICEOS_WEBHOOK_SECRET_KEY": KEY,
    "INVOICEOS_EVIDENCE_PRIVATE_KEY": KEY,
    "INVOICEOS_PLATFORM_FEE_PPM": "15000",
    "INVOICEOS_TEMPO_CHAIN_ID": str(tempo_facts.CHAIN_ID),
    "INVOICEOS_TEMPO_MASTER_ADDRESS": tempo_facts.MASTER_ADDRESS,
    "INVOICEOS_TEMPO_MASTER_ID": tempo_facts.MASTER_ID,
    "INVOICEOS_TEMPO_TOKENS": ",".join(f"{k}={v}" for k, v in tempo_facts.TOKENS.items()),
    "INVOICEOS_TEMPO_TAG_KEY": "5a" * 32,
    "INVOICEOS_TEMPO_RPC_URL": "http://127.0.0.1:1",
    "INVOICEOS_SMTP_URL": "smtp://127.0.0.1:1",
    "INVOICEOS_MAIL_FROM": "Invoice OS <invoices@example.test>",
}
UNITS = 10_000
"""Units of a token in a cent."""
PARTITIONS = 6
DAY_S = 86_400


def create_everything(server_url: str) -> ServiceDatabase:
    """A database with every service's schema, migrated."""
    name = f"audit_{uuid4().hex[:10]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = f"{server_url.rpartition('/')[0]}/{name}"
    prepare(url, list(SCHEMAS), SEED)
    for schema in SCHEMAS:
        migrate(ServiceDatabase(url, schema, name).url("owner"), schema)
    return ServiceDatabase(url, SCHEMAS[0], name)


@dataclass
class World:
    """The services, and what they stated."""

    units: dict[str, ServiceUnderTest]
    records: list[Any] = field(default_factory=list)
    tenant: UUID = field(default_factory=uuid4)
    rival: UUID = field(default_factory=uuid4)
    invoices: dict[str, UUID] = field(default_factory=dict)
    _offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    _height: int = 0

    @property
    def topic_records(self) -> list[TopicRecord]:
        """What the auditor would read from the topics."""
        return [TopicRecord.of(record) for record in self.records]

    async def settle(self) -> None:
        """Hand everything that is stated to who asked for it, until nobody says anything more."""
        while stated := [record for name in self.units for record in await self._publish(name)]:
            self.records += stated
            for unit in self.units.values():
                topics = set(unit.processor._subscriptions.topics)
                heard = [record for record in stated if record.topic in topics]
                if heard:
                    await unit.processor.process(heard)

    async def _publish(self, name: str) -> list[Any]:
        rows = await self.units[name].worker.fetch("delete from outbox returning *")
        return [self._record(row, name) for row in sorted(rows, key=lambda row: row["seq"])]

    def _record(self, row: Any, name: str) -> Any:
        partition = zlib.crc32(row["key"].encode()) % PARTITIONS
        place = (row["topic"], partition)
        offset = self._offsets[place] = self._offsets.get(place, -1) + 1
        return ConsumerRecord(
            topic=row["topic"],
            partition=partition,
            offset=offset,
            timestamp=int(row["occurred_at"].timestamp() * 1000),
            timestamp_type=0,
            key=row["key"].encode(),
            value=row["payload"],
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            headers=headers_of(row, f"/invoiceos/{name}"),
        )

    async def join(self) -> None:
        """Two companies, the first with a receiver of webhooks."""
        from gateway.commands.create_tenant import NewTenant, create_tenants
        from gateway.domain.keys import secret_of
        from notification.commands.create_endpoint import NewEndpoint, create_endpoints

        made = [
            NewTenant(tenant, "Works", uuid4(), secret_of("test", begin, "s" * 43), "tests")
            for tenant, begin in ((self.tenant, b"aaaaa"), (self.rival, b"bbbbb"))
        ]
        async with self.units["gateway"].api.transaction([PLATFORM]) as tx:
            await create_tenants(tx, made)
        endpoint = NewEndpoint(
            self.tenant, uuid4(), "https://example.test/", "", ("*",), {"sealed": "secret"}
        )
        async with self.units["notification"].worker.transaction() as tx:
            await create_endpoints(tx, [endpoint])
        # Older than anything that follows, as if it had been there for a while.
        await self.units["notification"].worker.pool.execute(
            "update webhook_endpoint set updated_at = now() - interval '1 hour'"
        )

    async def write(self, name: str, *, tenant: UUID | None = None, **terms: Any) -> UUID:
        """An invoice over 10.00 USD, issued unless it is to stay a draft."""
        from invoice.commands.create_customers import NewPerson
        from invoice.commands.create_invoices import CreateInvoice, create_invoices
        from invoice.domain.states import Line, Terms
        from invoice.domain.totals import work_out

        issue = terms.pop("issue", True)
        wanted = {
            "asset": "USD",
            "customer_id": None,
            "reference": None,
            "due_at": datetime.now(UTC) + timedelta(days=30),
            "watch_window_s": DAY_S,
        }
        worked = work_out(
            Terms(**(wanted | terms)), [Line("Work", "1", 700), Line("Tea", "3", 100)]
        )
        person = NewPerson("Ada", "ada@example.test", (), None)
        request = CreateInvoice(tenant or self.tenant, worked, person, issue=issue)
        async with self.units["invoice"].worker.transaction() as tx:
            (made,) = await create_invoices(tx, [request])
        self.invoices[name] = made.id
        await self.settle()
        return made.id

    async def void(self, name: str) -> None:
        """Call an invoice off."""
        from invoice.commands.void_invoices import VoidInvoice, void_invoices

        request = VoidInvoice(self.tenant, self.invoices[name], "mistake", "tests")
        async with self.units["invoice"].worker.transaction() as tx:
            await void_invoices(tx, [request])
        await self.settle()

    async def pay(self, *payments: tuple[str | bytes, int] | tuple[str | bytes, int, str]) -> None:
        """A block with these transfers: invoice (or address), cents, token."""
        from provider_orchestrator.commands.record_sweep import record_sweep
        from provider_orchestrator.domain.chain import Block, Swept
        from provider_orchestrator.store import chain

        unit = self.units["provider-orchestrator"]
        cursor = await chain.select_cursor(unit.worker, tempo_facts.CHAIN_ID)
        number = cursor.block.number + 1
        block = Block(number, uuid4().bytes * 2, datetime.now(UTC))
        transfers = []
        for place, (to, cents, *token) in enumerate(payments):
            address = to if isinstance(to, bytes) else await self._address(to)
            transfers.append(_transfer(block, place, address, cents, *token))
        async with unit.worker.transaction() as tx:
            swept = Swept(cursor, block, number, transfers)
            assert await record_sweep(tx, swept, confirmations=0)
        await self.settle()

    async def _address(self, name: str) -> bytes:
        address = await self.units["invoice"].worker.fetchval(
            "select address from invoice where id = $1", self.invoices[name]
        )
        return bytes.fromhex(address.removeprefix("0x"))

    async def reorganise(self) -> None:
        """The chain drops its last block."""
        from provider_orchestrator.commands.reverse_orphans import reverse_orphans
        from provider_orchestrator.domain.chain import Block
        from provider_orchestrator.store import chain

        unit = self.units["provider-orchestrator"]
        cursor = await chain.select_cursor(unit.worker, tempo_facts.CHAIN_ID)
        (row,) = await unit.worker.fetch(
            "select number, hash, block_at from chain_block where number = $1",
            cursor.block.number - 1,
        )
        async with unit.worker.transaction() as tx:
            assert await reverse_orphans(tx, cursor, Block(*row.values()))
        await self.settle()

    async def begin_chain(self) -> None:
        """A chain of one block, and the master the factory derives addresses of."""
        from provider_orchestrator.commands.record_sweep import record_sweep
        from provider_orchestrator.domain.chain import Block, Cursor, Swept
        from provider_orchestrator.store import chain
        from wallet_factory.app import prepare as register

        first = Block(1, b"\1" * 32, datetime.now(UTC))
        cursor = Cursor(tempo_facts.CHAIN_ID, first, first, b"\0" * 32)
        unit = self.units["provider-orchestrator"]
        async with unit.worker.transaction() as tx:
            await chain.insert_cursor(tx, cursor)
            await record_sweep(tx, Swept(cursor, first, 1, ()), confirmations=0)
        await register(SimpleNamespace(worker=self.units["wallet-factory"].worker))

    async def destroy_watched_for(self, seconds: int) -> None:
        """Let the watch windows of up to so many seconds end, and answer what wallets hold."""
        from provider_orchestrator.commands.answer_balances import Observed, answer_balances
        from provider_orchestrator.store import chain, providers

        await self.units["ephemeral-manager"].after(timedelta(seconds=seconds))
        await self.settle()
        unit = self.units["provider-orchestrator"]
        cursor = await chain.select_cursor(unit.worker, tempo_facts.CHAIN_ID)
        asked = await providers.select_balance_requests(unit.worker, tempo_facts.CHAIN_ID, 100)
        async with unit.worker.transaction() as tx:
            holdings = [Observed(one, {"PATHUSD": 0}, cursor.block) for one in asked]
            await answer_balances(tx, holdings)
        await self.settle()

    async def tell(self) -> None:
        """Receivers take every webhook, the mail server every mail, until nothing waits."""
        unit = self.units["notification"]
        while await self._deliver(unit) + await self._send(unit):
            await self.settle()

    async def _deliver(self, unit: ServiceUnderTest) -> int:
        from notification.commands.record_deliveries import record_deliveries
        from notification.domain.deliveries import Answer, Outcome, Schedule
        from notification.store.deliveries import Room, claim_deliveries

        room = Room(500, 500, 500, {}, {}, 60)
        async with unit.worker.transaction() as tx:
            claims = await claim_deliveries(tx, room)
        async with unit.worker.transaction() as tx:
            outcomes = [Outcome(claim, datetime.now(UTC), 3, Answer(204)) for claim in claims]
            await record_deliveries(tx, outcomes, Schedule((0, 5), 60)) if outcomes else None
        return len(claims)

    async def _send(self, unit: ServiceUnderTest) -> int:
        from notification.commands.record_mails import record_mails
        from notification.domain.mails import MailOutcome, MailState
        from notification.store.mails import claim_mails

        async with unit.worker.transaction() as tx:
            claims = await claim_mails(tx, 500, 500, 60)
        async with unit.worker.transaction() as tx:
            await record_mails(tx, [MailOutcome(claim, MailState.SENT) for claim in claims], (0,))
        return len(claims)


def _transfer(block: Any, place: int, address: bytes, cents: int, token: str = "PATHUSD") -> Any:
    from provider_orchestrator.domain.transfers import Transfer

    listed = token in tempo_facts.TOKENS
    at = bytes.fromhex(tempo_facts.TOKENS[token].removeprefix("0x")) if listed else b"\7" * 20
    return Transfer(
        chain_id=tempo_facts.CHAIN_ID,
        block_number=block.number,
        block_hash=block.hash,
        block_at=block.at,
        transaction_hash=uuid4().bytes * 2,
        log_index=place,
        ordinal=0,
        address=address,
        token=at,
        asset=token,
        listed=listed,
        units=cents * UNITS,
        payer=b"\5" * 20,
        memo=None,
        blocked=False,
    )


Opened = Callable[[ServiceDatabase], Any]


@asynccontextmanager
async def opened(place: ServiceDatabase) -> AsyncIterator[World]:
    """All services on one database."""
    async with AsyncExitStack() as stack:
        units = {}
        for point in entry_points(group="invoiceos.services"):
            service = point.load()
            own = ServiceDatabase(place.admin_url, service.schema, place.name)
            units[service.name] = await stack.enter_async_context(under_test(service, own))
        yield World(units)


async def populate(world: World) -> None:
    """Everything that can happen to an invoice, to the end, until nobody has anything to do."""
    await world.join()
    await world.begin_chain()
    await world.write("draft", issue=False)
    await world.write("unpaid")
    await world.write("void")
    await world.void("void")
    for name in ("paid", "overpaid", "partial", "wrong", "reverted", "moved"):
        await world.write(name)
    await world.write("ended", watch_window_s=1)
    await world.write("theirs", tenant=world.rival)
    await world.pay(("paid", 1000), ("overpaid", 700), ("overpaid", 500), ("partial", 400))
    await world.pay(("wrong", 1000, "MOON"), (b"\xee" * 20, 5), ("ended", 1000), ("theirs", 1000))
    await world.pay(("reverted", 1000))
    await world.reorganise()
    await world.pay(("moved", 300))
    await world.reorganise()
    await world.pay(("moved", 1000))
    await world.destroy_watched_for(5)
    await world.tell()
    for unit in world.units.values():
        # Nobody fires timers here: those that wait go on waiting.
        await unit.worker.pool.execute("update timer set due_at = due_at + interval '1 year'")
