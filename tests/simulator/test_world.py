"""The simulated world is honest: it answers as the real one does, and fails only as it says."""

import asyncio
import base64
import json
import random
import re
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid5

import pytest
from pydantic import SecretStr
from pytempo.contracts import TIP20
from tests.simulator import chain as chain_module
from tests.simulator import clients as client_module
from tests.simulator import receivers as receiver_module
from tests.simulator.chain import ChainFaults, Paid, SimChain
from tests.simulator.clients import AnswerLost, Client, ClientFaults, Habits, Payer, verdict
from tests.simulator.loop import SimLoop
from tests.simulator.receivers import (
    MailBox,
    MailFaults,
    ReceiverFaults,
    Receivers,
    verdict_of_mails,
    verdict_of_webhooks,
)

from chassis.sealing import Sealer
from invoiceos_contracts import encode
from invoiceos_local import tempo_facts as facts
from invoiceos_local.chain import Node, dev_account, pay_through, virtual_address
from invoiceos_local.processes import Processes
from invoiceos_local.tempo import Tempo as LocalChain
from notification.domain.deliveries import Claim
from notification.domain.mails import Contact, MailClaim, MailState
from notification.providers import webhook_loop
from notification.providers.smtp import MailServer
from notification.providers.webhook import Sender
from notification.settings import NotificationSettings
from provider_orchestrator.domain.chain import Block, Cursor, common_ancestor, contradicts
from provider_orchestrator.domain.transfers import Transfer
from provider_orchestrator.providers.chain.client import Call, ChainFault, RpcClient
from provider_orchestrator.providers.chain.mapping import (
    BALANCE_OF,
    SYMBOL,
    TRANSFER,
    TRANSFER_WITH_MEMO,
    word,
)
from provider_orchestrator.providers.tempo.adapter import Moved, Tempo
from provider_orchestrator.settings import OrchestratorSettings

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = UUID("00000000-0000-0000-0000-0000000000aa")
MEMO = b"\x07" * 32
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@dataclass
class World:
    """A virtual loop, its chance, and what was reached in it."""

    seed: int
    marks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chooser = random.Random(self.seed)
        self.loop = SimLoop(random.Random(self.seed))

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.loop.time())

    def reached(self, name: str) -> None:
        known = chain_module.REACHED + receiver_module.REACHED + client_module.REACHED
        assert name in known, name
        self.marks[name] += 1

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(what)
        finally:
            self.loop.close()


def orchestrator_settings(rpc_url: str = "http://chain.test") -> OrchestratorSettings:
    return OrchestratorSettings(
        environment="test",
        database_api_url=NOWHERE,
        database_worker_url=NOWHERE,
        tempo_rpc_url=rpc_url,
        tempo_chain_id=facts.CHAIN_ID,
        tempo_master_address=facts.MASTER_ADDRESS,
        tempo_tokens=",".join(f"{code}={at}" for code, at in facts.TOKENS.items()),
    )


def an_address(number: int) -> str:
    return virtual_address(bytes.fromhex(facts.MASTER_ID), number.to_bytes(6, "big")).lower()


# -- the chain answers as anvil does -----------------------------------------------------------


class Chain(Protocol):
    """What a scenario does to a chain, and the product's adapter that looks at it."""

    tempo: Tempo
    client: RpcClient

    async def pay(
        self, by: int, asset: str, to: str, units: int, memo: bytes | None = None
    ) -> None:
        """One payment in a block of its own."""

    async def pay_in_one_block(self, payments: Sequence[tuple[int, str, str, int]]) -> None:
        """Payments (by, asset, to, units) of several payers, in this order."""

    async def pay_in_one_transaction(self, by: int, moves: Sequence[tuple[str, str, int]]) -> None:
        """Several transfers (asset, to, units) of one payer."""

    async def mine(self, blocks: int) -> None:
        """Empty blocks."""

    async def forget(self, blocks: int) -> None:
        """Replace the last blocks by empty ones."""


class Anvil:
    """The real thing."""

    def __init__(self, node: Node, client: RpcClient, url: str) -> None:
        self.client, self.tempo = client, Tempo(client, orchestrator_settings(url))
        self._node = node

    async def pay(
        self, by: int, asset: str, to: str, units: int, memo: bytes | None = None
    ) -> None:
        await pay_through(self._node, by, _token(asset), to, units, memo)

    async def pay_in_one_block(self, payments: Sequence[tuple[int, str, str, int]]) -> None:
        await self._node.call("evm_setAutomine", False)
        for by, asset, to, units in payments:
            await self._submit(by, [(asset, to, units)])
        await self._node.call("anvil_mine", "0x1")
        await self._node.call("evm_setAutomine", True)

    async def pay_in_one_transaction(self, by: int, moves: Sequence[tuple[str, str, int]]) -> None:
        receipt = await self._node.receipt(await self._submit(by, moves))
        assert receipt.succeeded

    async def _submit(self, by: int, moves: Sequence[tuple[str, str, int]]) -> str:
        calls = [TIP20(_token(asset)).transfer(to=to, amount=units) for asset, to, units in moves]
        return await self._node.submit(dev_account(by).private_key, calls, gas_limit=3_000_000)

    async def mine(self, blocks: int) -> None:
        await self._node.call("anvil_mine", hex(blocks))

    async def forget(self, blocks: int) -> None:
        await self._node.call("anvil_reorg", blocks, [])


class Simulated:
    """The stand-in."""

    def __init__(self, chain: SimChain, client: RpcClient) -> None:
        self.client, self.tempo = client, Tempo(client, orchestrator_settings())
        self._chain = chain

    async def pay(
        self, by: int, asset: str, to: str, units: int, memo: bytes | None = None
    ) -> None:
        await self._chain.pay(to, asset, units, memo, payer=dev_account(by).address)
        self._chain.mine()

    async def pay_in_one_block(self, payments: Sequence[tuple[int, str, str, int]]) -> None:
        for by, asset, to, units in payments:
            await self._chain.pay(to, asset, units, payer=dev_account(by).address)
        self._chain.mine()

    async def pay_in_one_transaction(self, by: int, moves: Sequence[tuple[str, str, int]]) -> None:
        payer = dev_account(by).address
        self._chain.pay_together(
            [(to, asset, units, None) for asset, to, units in moves], payer=payer
        )
        self._chain.mine()

    async def mine(self, blocks: int) -> None:
        self._chain.mine(blocks)

    async def forget(self, blocks: int) -> None:
        self._chain.faults = ChainFaults(dropped=1)
        self._chain.reorganise(blocks)
        self._chain.faults = ChainFaults()


def _token(asset: str) -> str:
    return facts.TOKENS.get(asset, "0x20c0000000000000000000000000000000000002")


async def payments_with_and_without_memo(chain: Chain) -> Any:
    begun = await _cursor(chain)
    await chain.pay(1, "PATHUSD", an_address(1), 5, MEMO)
    await chain.pay(2, "ALPHAUSD", an_address(2), 6)
    await chain.mine(2)
    await chain.pay(3, "PATHUSD", an_address(1), 7, b"\x08" * 32)
    return _plain(await _swept(chain, begun), begun)


async def payments_in_one_block(chain: Chain) -> Any:
    begun = await _cursor(chain)
    await chain.pay_in_one_block(
        [
            (1, "PATHUSD", an_address(3), 1),
            (2, "BETAUSD", an_address(4), 2),
            (3, "PATHUSD", facts.MASTER_ADDRESS, 3),
            (5, "ALPHAUSD", an_address(3), 4),
        ]
    )
    return _plain(await _swept(chain, begun), begun)


async def transfers_of_one_transaction(chain: Chain) -> Any:
    begun = await _cursor(chain)
    moves = [("PATHUSD", an_address(5), 8), ("PATHUSD", an_address(6), 9)]
    await chain.pay_in_one_transaction(1, [*moves, ("PATHUSD", an_address(5), 8)])
    return _plain(await _swept(chain, begun), begun)


async def what_the_master_pays_itself(chain: Chain) -> Any:
    begun = await _cursor(chain)
    await chain.pay(0, "PATHUSD", an_address(7), 10)
    await chain.pay(1, "PATHUSD", an_address(7), 11)
    return _plain(await _swept(chain, begun), begun)


async def a_reorganisation(chain: Chain) -> Any:
    await chain.mine(3)
    begun = await _cursor(chain)
    await chain.pay(1, "PATHUSD", an_address(8), 11)
    before = _plain(await _swept(chain, begun), begun)
    stood = (await chain.tempo.glance(None)).head
    await chain.forget(2)
    glance = await chain.tempo.glance(stood.number)
    below = (await chain.tempo.glance(begun.block.number - 1)).at_cursor
    assert glance.at_cursor is not None
    kept = Cursor(begun.chain_id, below, below, below.hash)
    return {
        "before": before,
        "height": glance.head.number - stood.number,
        "replaced": glance.at_cursor.hash != stood.hash,
        "after": _plain(await _swept(chain, kept), kept),
        "beyond": (await chain.tempo.glance(stood.number + 9)).at_cursor,
    }


async def balances(chain: Chain) -> Any:
    await chain.pay(1, "PATHUSD", an_address(9), 12)
    head = (await chain.tempo.glance(None)).head
    addresses = [bytes.fromhex(an_address(9)[2:]), bytes(20)]
    _, held = await chain.tempo.balances(addresses[:1], head.number)
    return held


async def questions_of_every_kind(chain: Chain) -> Any:
    """The answers as they come, without what is another in every chain."""
    await chain.pay(1, "PATHUSD", an_address(10), 13, MEMO)
    head = (await chain.tempo.glance(None)).head.number
    span = {"fromBlock": hex(head), "toBlock": hex(head), "topics": [TRANSFER]}
    to_master = [None, None, [word(bytes.fromhex(facts.MASTER_ADDRESS[2:])), "0x" + "11" * 32]]
    path, nobody = facts.PATH_USD, "0x20c00000000000000000000000000000000000ff"
    balance = BALANCE_OF + word(bytes.fromhex(an_address(10)[2:]))[2:]
    calls = [
        Call("eth_chainId"),
        Call("eth_getBlockByNumber", (hex(head), False)),
        Call("eth_getBlockByNumber", (hex(head + 9), False)),
        Call("eth_getBlockByHash", ("0x" + "12" * 32, False)),
        Call("eth_getLogs", (span,)),
        Call("eth_getLogs", (span | {"topics": to_master, "toBlock": hex(head + 5)},)),
        Call("eth_getLogs", (span | {"topics": [[TRANSFER, TRANSFER_WITH_MEMO]]},)),
        Call("eth_getLogs", (span | {"toBlock": hex(head - 1)},)),
        Call("eth_getLogs", (span | {"fromBlock": hex(head + 1), "toBlock": hex(head + 2)},)),
        Call("eth_call", ({"to": path, "data": SYMBOL}, "latest")),
        Call("eth_call", ({"to": path, "data": balance}, hex(head))),
        Call("eth_call", ({"to": path, "data": balance}, hex(head + 3))),
        Call("eth_call", ({"to": nobody, "data": SYMBOL}, "latest")),
        Call("eth_call", ({"to": "0x" + "12" * 20, "data": SYMBOL}, "latest")),
        Call("eth_nonsense"),
    ]
    answers = []
    for call in calls:
        try:
            answers.append(_shape((await chain.client.ask(call))[0]))
        except ChainFault as error:
            text = str(error).partition(", 'data'")[0].rstrip("}")
            answers.append(re.sub(r"(?<=is |as )\d+", lambda n: f"head{int(n[0]) - head:+d}", text))
    return answers


_OTHERS = {"blockHash", "transactionHash", "blockTimestamp", "blockNumber", "hash", "number"}


def _shape(value: Any, name: str = "") -> Any:
    """Logs and results as they are, but for what names a block; headers by names and kinds."""
    if isinstance(value, dict):
        plain = "parentHash" in value
        return {key: _shape(part, "hash" if plain else key) for key, part in value.items()}
    if isinstance(value, list):
        return [_shape(part, name) for part in value if not _is_fee(part)]
    return type(value).__name__ if name in _OTHERS else value


def _is_fee(log: Any) -> bool:
    """Which token pays the fee, and how much it is, differs from payer to payer."""
    return isinstance(log, dict) and chain_module.FEE_MANAGER.hex() in str(log.get("topics"))


async def _cursor(chain: Chain) -> Cursor:
    head = (await chain.tempo.glance(None)).head
    return Cursor(facts.CHAIN_ID, head, head, head.hash)


async def _swept(chain: Chain, cursor: Cursor) -> list[Transfer]:
    head = (await chain.tempo.glance(None)).head
    swept = await chain.tempo.sweep(cursor, head)
    assert swept.to == head
    return list(swept.transfers)


def _plain(transfers: Sequence[Transfer], begun: Cursor) -> list[dict[str, Any]]:
    """Transfers with hashes as their order of appearance, and blocks counted from the start."""
    names: dict[bytes, int] = {}
    made = []
    for transfer in transfers:
        plain = asdict(transfer)
        plain["block_number"] -= begun.block.number
        plain["block_at"] = transfer.block_at >= begun.block.at
        for name in ("block_hash", "transaction_hash"):
            plain[name] = names.setdefault(plain[name], len(names))
        made.append(plain)
    return made


SCENARIOS: tuple[Callable[[Chain], Awaitable[Any]], ...] = (
    payments_with_and_without_memo,
    payments_in_one_block,
    transfers_of_one_transaction,
    what_the_master_pays_itself,
    a_reorganisation,
    balances,
    questions_of_every_kind,
)


@pytest.fixture(scope="module")
def local_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    """A chain that may be reorganised."""
    processes = Processes(tmp_path_factory.mktemp("tempo"))
    chain = LocalChain(processes)
    chain.start()
    yield chain
    chain.stop()
    processes.stop_all()


@pytest.fixture
async def anvil(local_chain: LocalChain) -> AsyncIterator[Anvil]:
    url = local_chain.rpc_url
    async with Node(url) as node, RpcClient(url, timeout_s=5) as client:
        await node.call("anvil_mine", "0x5")
        yield Anvil(node, client, url)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_the_product_sees_the_same_on_anvil_and_on_the_simulated_chain(
    anvil: Anvil, scenario: Callable[[Chain], Awaitable[Any]]
) -> None:
    real = await scenario(anvil)
    world = World(1)

    async def simulated() -> Any:
        chain = SimChain(world.chooser, world.now, facts)
        chain.mine(5)
        async with client_of(chain) as client:
            return await scenario(Simulated(chain, client))

    made = await asyncio.to_thread(world.run, simulated())
    assert made == real
    assert real


def client_of(chain: SimChain, *, timeout_s: float = 5) -> RpcClient:
    with chain.installed(lambda: None):
        return RpcClient("http://chain.test", timeout_s=timeout_s)


# -- the chain fails only as it says -----------------------------------------------------------

ROUGH = ChainFaults(
    reorganised=0.06,
    chased=0.1,
    shorter=0.3,
    dropped=0.2,
    later=0.3,
    losing_branch=0.3,
    stalled=0.02,
    reordered=0.3,
    strangers=0.3,
    away=0.02,
    behind=0.05,
    lost=0.02,
    late=0.02,
    http_500=0.02,
    throttled=0.02,
    garbage=0.02,
    call_refused=0.02,
    call_unanswered=0.02,
    shuffled=0.2,
    moved_within_batch=0.2,
    range_blocks_max=12,
)


class Reader:
    """What the product's watch does with a chain, kept in memory instead of a database."""

    def __init__(self, tempo: Tempo) -> None:
        self._tempo = tempo
        self._known: list[Block] = []
        self._begin: Cursor | None = None
        self.transfers: list[Transfer] = []
        self.faults: Counter[str] = Counter()

    @property
    def cursor(self) -> Cursor | None:
        if self._begin is None:
            return None
        return replace(self._begin, block=self._known[-1])

    async def look(self) -> None:
        try:
            await self._look()
        except (ChainFault, Moved) as error:
            self.faults[type(error).__name__] += 1

    async def _look(self) -> None:
        cursor = self.cursor
        glance = await self._tempo.glance(cursor.block.number if cursor else 0)
        if cursor is None:
            genesis = glance.at_cursor
            assert genesis is not None
            self._known = [genesis]
            self._begin = Cursor(facts.CHAIN_ID, genesis, genesis, genesis.hash)
        elif glance.at_cursor is None or glance.at_cursor.hash != cursor.block.hash:
            await self._go_back(contradicted=glance.at_cursor is not None)
        elif glance.head.number > cursor.block.number:
            swept = await self._tempo.sweep(cursor, glance.head)
            self._known.append(swept.to)
            self.transfers += swept.transfers

    async def _go_back(self, *, contradicted: bool) -> None:
        there = await self._tempo.blocks([block.number for block in self._known])
        ancestor = common_ancestor(self._known, there)
        assert ancestor is not None
        if contradicted or contradicts(self._known, there):
            self._known = [block for block in self._known if block.number <= ancestor.number]
            kept = [one for one in self.transfers if one.block_number <= ancestor.number]
            self.transfers = kept


async def a_rough_life(world: World, chain: SimChain, reader: Reader, seconds: float) -> None:
    """Payments and looks for a while, then quiet."""
    end = world.loop.time() + seconds
    while world.loop.time() < end:
        if world.chooser.random() < 0.3:
            asset = world.chooser.choice(["PATHUSD", "ALPHAUSD", "MOON1", "PATHUSD*"])
            memo = world.chooser.choice([None, MEMO])
            address = an_address(world.chooser.randrange(50))
            await chain.pay(address, asset, world.chooser.randint(1, 99), memo)
        await asyncio.sleep(0.2)
        await reader.look()
    chain.calm()
    await asyncio.sleep(20)
    for _ in range(40):
        await reader.look()


def a_run_of_the_chain(
    seed: int, faults: ChainFaults
) -> tuple[World, list[Paid], list[tuple[str, int, str]], list[Any]]:
    """World, truth, what the reader found, and the whole history."""
    world = World(seed)

    async def life() -> Any:
        chain = SimChain(world.chooser, world.now, facts, faults, world.reached)
        making = asyncio.ensure_future(chain.run())
        async with client_of(chain) as client:
            reader = Reader(Tempo(client, orchestrator_settings()))
            await a_rough_life(world, chain, reader, 60)
        making.cancel()
        assert chain.waiting == 0
        return chain.truth(), reader

    truth, reader = world.run(life())
    found = [
        ("0x" + one.address.hex(), one.units, "0x" + one.transaction_hash.hex())
        for one in reader.transfers
    ]
    return world, truth, found, [truth, reader.transfers, world.marks, reader.faults]


@pytest.mark.parametrize("seed", range(6))
def test_a_reader_that_follows_the_chain_ends_with_the_truth(seed: int) -> None:
    _, truth, found, _ = a_run_of_the_chain(seed, ROUGH)
    assert sorted(found) == sorted((one.address, one.units, one.transaction_hash) for one in truth)
    assert len(truth) > 10


def test_every_fault_of_the_chain_takes_effect() -> None:
    marks: Counter[str] = Counter()
    for seed in range(6):
        marks += a_run_of_the_chain(seed, replace(ROUGH, range_blocks_max=5))[0].marks
    beyond = {"chain.batch_split", "chain.logs_beyond_head"}
    assert set(marks) | beyond == set(chain_module.REACHED)


def test_one_seed_is_one_history_of_the_chain() -> None:
    assert a_run_of_the_chain(3, ROUGH)[3] == a_run_of_the_chain(3, ROUGH)[3]
    assert a_run_of_the_chain(3, ROUGH)[3] != a_run_of_the_chain(4, ROUGH)[3]


def test_a_split_batch_hides_money_and_says_so() -> None:
    """Why that fault is kept apart: what it hides, no reader of such batches can find."""
    world, truth, found, _ = a_run_of_the_chain(1, ChainFaults(split=0.6))
    assert world.marks["chain.logs_beyond_head"] > 0
    lost = {one.transaction_hash for one in truth} - {found_in for _, _, found_in in found}
    assert lost


def test_without_faults_every_payment_stands_and_nothing_is_reached() -> None:
    world, truth, found, _ = a_run_of_the_chain(1, ChainFaults())
    assert len(truth) == len(found) > 10
    assert not world.marks


# -- webhook endpoints -------------------------------------------------------------------------

SECRET_KEY = base64.b64encode(b"w" * 32).decode()
PERSONAL_KEY = base64.b64encode(b"p" * 32).decode()
URL = "https://receiver.example.org/hook"
ENDPOINT = UUID("00000000-0000-7000-8000-000000000001")
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


def a_claim(number: int, body: bytes | None = None) -> Claim:
    event_id = uuid5(NAMES, str(number))
    subject = encode("whe", ENDPOINT)
    sealed = Sealer(SECRET_KEY).seal(SECRET, subject=subject, data_key=b"d" * 32)
    return Claim(
        tenant_id=NAMES,
        delivery_id=event_id,
        endpoint_id=ENDPOINT,
        event_id=event_id,
        invoice_id=None,
        attempt=1,
        failing=False,
        url=URL,
        secrets=(sealed.model_dump(mode="json"),),
        body=json.dumps({"id": str(event_id)}).encode() if body is None else body,
    )


def deliveries(
    seed: int, faults: ReceiverFaults, count: int, tries: int = 1
) -> tuple[World, Receivers, list[Any]]:
    """The product's sender tries each event until it is told of a success, or so often."""
    world = World(seed)
    receivers = Receivers(world.chooser, datetime_of_the_machine, faults, world.reached)
    receivers.expect(URL, SECRET)

    async def life() -> list[Any]:
        told = []
        with receivers.installed():
            session = webhook_loop.open_session(None, connections=4, timeout_s=5)
        async with session:
            sender = Sender(session, Sealer(SECRET_KEY), ())
            for number in range(count):
                for _ in range(tries):
                    answer = (await sender.attempt(a_claim(number))).answer
                    told.append((answer.status_code, answer.error))
                    if answer.status_code is not None and answer.status_code < 300:
                        break
        return told

    return world, receivers, world.run(life())


def datetime_of_the_machine() -> datetime:
    """The sender signs with the machine's clock; so the receivers must have it too."""
    return datetime.now(UTC)


ids_of = lambda count: [str(uuid5(NAMES, str(number))) for number in range(count)]  # noqa: E731

ROUGH_RECEIVERS = ReceiverFaults(
    failed=0.1,
    throttled=0.1,
    refused_connection=0.1,
    timed_out_before=0.1,
    timed_out_after=0.1,
    reset_after=0.1,
    slow=0.1,
    slow_body=0.0,
    redirected=0.1,
)


def test_rough_receivers_are_told_everything_by_a_sender_that_does_not_give_up() -> None:
    world, receivers, told = deliveries(1, ROUGH_RECEIVERS, 100, tries=50)
    assert verdict_of_webhooks(receivers, {URL: ids_of(100)}) == []
    kinds = {status for status, _ in told}
    assert {None, 429, 500, 200} <= kinds
    assert {"timeout", "network", "connect"} <= {error for _, error in told}
    unused = {name for name in receiver_module.REACHED if name.startswith("mail.")}
    unused |= {"receiver.gone", "receiver.slow_body"}
    assert set(world.marks) | unused == set(receiver_module.REACHED)


def test_one_seed_is_one_history_of_the_receivers() -> None:
    one, other = (deliveries(7, ROUGH_RECEIVERS, 30, tries=9) for _ in range(2))
    assert one[2] == other[2]
    assert one[0].marks == other[0].marks
    assert [(a.webhook_id, a.taken) for a in one[1].arrivals()] == [
        (a.webhook_id, a.taken) for a in other[1].arrivals()
    ]


def test_an_endpoint_that_is_gone_says_so_for_ever_and_need_not_be_told() -> None:
    world, receivers, told = deliveries(1, ReceiverFaults(gone=0.2), 30)
    first = told.index((410, None))
    assert set(told[first:]) == {(410, None)}
    assert receivers.gone == {URL}
    assert verdict_of_webhooks(receivers, {URL: ids_of(30)}) == []
    assert world.marks["receiver.gone"] == len(told) - first


def test_a_body_that_never_ends_does_not_hide_the_status() -> None:
    world, _, told = deliveries(1, ReceiverFaults(slow_body=1), 3)
    assert all(status is not None and status < 300 for status, _ in told)
    assert world.marks["receiver.slow_body"] == 3


def test_what_an_endpoint_must_not_get_is_found() -> None:
    _, receivers, _ = deliveries(1, ReceiverFaults(), 3)
    assert verdict_of_webhooks(receivers, {URL: ids_of(4)}) == [
        f"{URL}: was never told {ids_of(4)[3]}"
    ]
    assert verdict_of_webhooks(receivers, {URL: ids_of(2)}) == [
        f"{URL}: was told {ids_of(3)[2]}, not asked for"
    ]
    genuine = receivers.arrivals()[0]
    for forged, finding in (
        (replace(genuine, body=genuine.body + b" "), "two bodies"),
        (replace(genuine, webhook_id="another"), "names itself"),
        (replace(genuine, signatures=("v1,AAAA",)), "not signed"),
        (replace(genuine, at=genuine.at + timedelta(hours=1)), "says it is of"),
    ):
        receivers._arrived.append(forged)
        assert any(finding in one for one in verdict_of_webhooks(receivers))
        receivers._arrived.pop()
    receivers.secrets.clear()
    assert len(verdict_of_webhooks(receivers)) == 3


# -- mail --------------------------------------------------------------------------------------


def a_mail(number: int, notification: int | None = None) -> MailClaim:
    subject = encode("cus", uuid5(NAMES, f"customer {number}"))
    recipient = json.dumps({"email": f"c{number}@customers.example.org", "name": "Ada"})
    sealed = Sealer(PERSONAL_KEY).seal(recipient, subject=subject, data_key=b"d" * 32)
    content = {
        "number": f"INV-{number:06d}",
        "due": "1.00 USD",
        "due_date": "1 January 2030",
        "rail": "tempo",
        "address": "0x00",
        "memo": None,
        "accepted": ["PATHUSD"],
    }
    return MailClaim(
        tenant_id=NAMES,
        notification_id=uuid5(NAMES, f"mail {number if notification is None else notification}"),
        invoice_id=NAMES,
        template="invoice_issued",
        attempt=1,
        content=content,
        created_at=EPOCH,
        contact=Contact(
            NAMES, NAMES, subject, sealed.model_dump(mode="json"), "Acme", "https://pay.example.org"
        ),
    )


def announcements(count: int) -> set[tuple[str, str]]:
    return {(f"INV-{n:06d}", f"c{n}@customers.example.org") for n in range(count)}


def mails(
    seed: int, faults: MailFaults, claims: Sequence[MailClaim]
) -> tuple[World, MailBox, list[MailState]]:
    """The product's mail server sends until each mail is sent or refused for good."""
    world = World(seed)
    box = MailBox(world.chooser, world.now, faults, world.reached)
    settings = NotificationSettings(
        environment="test",
        database_api_url=SecretStr(NOWHERE),
        database_worker_url=SecretStr(NOWHERE),
        smtp_url=SecretStr("smtp://mail.test:25"),
        mail_from="Invoice OS <invoices@example.com>",
        personal_data_key=SecretStr(PERSONAL_KEY),
        webhook_secret_key=SecretStr(SECRET_KEY),
    )

    async def life() -> list[MailState]:
        server, states, left = MailServer(settings, Sealer(PERSONAL_KEY)), [], list(claims)
        while left:
            batch, left = left[:6], left[6:]
            outcomes = await server.send(batch)
            states += [outcome.state for outcome in outcomes]
            ended = (MailState.SENT, MailState.REFUSED)
            left += [outcome.claim for outcome in outcomes if outcome.state not in ended]
        return states

    with box.installed():
        return world, box, world.run(life())


ROUGH_MAIL = MailFaults(
    connection_refused=0.1,
    transient=0.05,
    disconnected_before=0.05,
    disconnected_after=0.1,
    timed_out_after=0.05,
    slow=0.1,
    bad_address=0.2,
)


def test_a_rough_mail_server_gets_every_mail_at_least_once() -> None:
    world, box, states = mails(1, ROUGH_MAIL, [a_mail(number) for number in range(40)])
    assert set(states) == set(MailState)
    assert 0 < len(box.refused) < 40
    assert verdict_of_mails(box, announcements(40)) == []
    assert len({mail.message_id for mail in box.mails}) == 40 - len(box.refused)
    unused = {name for name in receiver_module.REACHED if name.startswith("receiver.")}
    assert set(world.marks) | unused == set(receiver_module.REACHED)


def test_one_seed_is_one_history_of_the_mail_server() -> None:
    claims = [a_mail(number) for number in range(12)]
    one, other = mails(5, ROUGH_MAIL, claims), mails(5, ROUGH_MAIL, claims)
    assert (one[0].marks, one[1].mails, one[2]) == (other[0].marks, other[1].mails, other[2])


def test_mails_that_are_missing_doubled_or_strange_are_found() -> None:
    _, box, _ = mails(1, MailFaults(), [a_mail(0), a_mail(1), a_mail(1, notification=2)])
    assert verdict_of_mails(box) == [
        "INV-000001 was announced to c1@customers.example.org by 2 different mails"
    ]
    box.mails.pop()
    assert verdict_of_mails(box, announcements(3)) == [
        "INV-000002 was never announced to c2@customers.example.org"
    ]
    known = [mail.message_id for mail in box.mails]
    assert verdict_of_mails(box, expected_ids=known) == []
    assert len(verdict_of_mails(box, expected_ids=known[:1])) == 1
    box.mails.append(replace(box.mails[0], content="other words"))
    assert verdict_of_mails(box) == [f"{known[0]} is two different mails"]


# -- clients -----------------------------------------------------------------------------------

Told = tuple[int, Mapping[str, str], bytes]


class Toy:
    """A platform of a page: right where nobody names a flaw, so that the clients can be judged."""

    def __init__(self, world: World, chain: SimChain, *, rough: float = 0, flaw: str = "") -> None:
        self._world, self._chain, self._rough, self._flaw = world, chain, rough, flaw
        self._kept: dict[str, tuple[bytes, Told]] = {}
        self._invoices: dict[str, dict[str, Any]] = {}
        self._customers: dict[str, dict[str, Any]] = {}

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Told:
        chooser = self._world.chooser
        await asyncio.sleep(chooser.uniform(0, 0.05))
        trouble = chooser.choice(["lost", "answer", "503", "429"])
        rough = chooser.random() < self._rough
        if rough and trouble == "lost":
            raise AnswerLost
        if rough and trouble in ("503", "429"):
            return int(trouble), {"Retry-After": "1"}, b"{}"
        answer = self._answer(method, path, headers, body)
        if rough:
            raise TimeoutError
        return answer

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Told:
        key, asked = headers.get("Idempotency-Key"), path.encode() + body
        if key is None:
            return self._read(path)
        if key in self._kept and self._flaw != "no idempotency":
            first, kept = self._kept[key]
            if first != asked and self._flaw != "any body":
                return 422, {}, b'{"code": "idempotency_key_reused"}'
            status, told, text = kept
            text = text + b" " if self._flaw == "other bytes" else text
            return status, {**told, "Idempotency-Replayed": "true"}, text
        answer = self._written(method, path, headers, json.loads(body or b"{}"))
        if answer[0] < 300:
            self._kept[key] = asked, answer
        return answer

    def _written(
        self, method: str, path: str, headers: Mapping[str, str], body: dict[str, Any]
    ) -> Told:
        if path == "/api/v1/customers":
            made = {"id": f"cus_{len(self._customers)}", **body}
            self._customers[made["id"]] = made
            return 201, {}, json.dumps(made).encode()
        if path == "/api/v1/invoices":
            return self._drafted(body)
        invoice = self._invoices[path.split("/")[4]]
        if invoice["status"]["document"] == "deleted":
            return 404, {}, b'{"code": "invoice_not_found"}'
        expected = headers.get("If-Match", f'"{invoice["version"]}"')
        if expected != f'"{invoice["version"]}"' and self._flaw != "lost update":
            return 412, {}, b'{"code": "version_mismatch"}'
        invoice["version"] += 1
        if method == "DELETE":
            invoice["status"] = {**invoice["status"], "document": "deleted"}
            return 204, {}, b""
        if method == "PATCH":
            self._price(invoice, body)
        elif path.endswith("/issue"):
            self._issue(invoice)
        elif self._received(invoice):
            return 409, {}, b'{"code": "invoice_has_money"}'
        elif self._flaw != "no void":
            invoice["status"]["document"] = "void"
        return self._shown(invoice, 200)

    def _drafted(self, body: dict[str, Any]) -> Told:
        number = len(self._invoices)
        invoice = {
            "id": f"inv_{number}",
            "version": 1,
            "status": {"document": "draft", "settlement": "unpaid", "timeliness": "on_time"},
            "number": None,
            "due_at": body["due_at"],
            "tolerance": body["tolerance"]["amount_minor"],
            "ttl_s": body["wallet"]["ttl_s"],
            "asset": body["asset"],
            "wallet": None,
            "expires_at": None,
        }
        self._price(invoice, body)
        self._invoices[invoice["id"]] = invoice
        if body["issue"]:
            self._issue(invoice)
        if self._flaw == "forgets" and number == 3:
            self._invoices[invoice["id"]] = {"status": {"document": "deleted"}}
        return self._shown(invoice, 201)

    def _price(self, invoice: dict[str, Any], body: dict[str, Any]) -> None:
        total = 0
        for line in body.get("lines", ()):
            net = int(line["quantity"]) * line["unit_price_minor"]
            tax = sum(
                (net * one["rate_ppm"] + 500_000) // 1_000_000 for one in line.get("taxes", ())
            )
            total += net + tax + (self._flaw == "wrong total")
        if total:
            invoice["total"] = {"amount_minor": total, "asset": invoice["asset"]}

    def _issue(self, invoice: dict[str, Any]) -> None:
        served = invoice["asset"] == "USD"
        invoice["status"]["document"] = "open" if served else "issue_failed"
        if not served:
            return
        number = int(invoice["id"].removeprefix("inv_"))
        invoice["number"] = f"INV-{number:06d}"
        invoice["payment_link"] = f"https://pay.example.org/pay/{invoice['id']}"
        expires = self._world.now() + timedelta(seconds=invoice["ttl_s"])
        invoice["expires_at"] = expires.isoformat()
        tokens = ["PATHUSD", "ALPHAUSD"]
        memo = "0x" + MEMO.hex()
        address = an_address(number)
        wallet = {"address": address, "memo": memo, "accepted_assets": tokens}
        invoice["wallet"] = wallet | {"destroyed_at": None}

    def _received(self, invoice: dict[str, Any]) -> int:
        if invoice["wallet"] is None or invoice["status"]["document"] == "void":
            return 0
        counted = {"PATHUSD", "ALPHAUSD"} | (
            {"MOON1", "PATHUSD*"} if self._flaw == "any money" else set()
        )
        paid = [one for one in self._chain.truth() if one.address == invoice["wallet"]["address"]]
        units = [one.units for one in paid if one.asset in counted]
        if self._flaw == "counts twice" and len(units) > 1:
            units.append(units[0])
        return sum(units)

    def _read(self, path: str) -> Told:
        name = path.split("/")[4]
        if name in self._customers:
            return 200, {}, json.dumps(self._customers[name]).encode()
        invoice = self._invoices[name]
        if invoice["status"]["document"] == "deleted":
            return 404, {}, b'{"code": "invoice_not_found"}'
        if "payment-links" in path:
            shown = {**invoice["wallet"], "expires_at": invoice["expires_at"]}
            return 200, {}, json.dumps(shown).encode()
        return self._shown(invoice, 200)

    def _shown(self, invoice: dict[str, Any], status: int) -> Told:
        received = self._received(invoice)
        shown = {**invoice, "received_micros": received}
        missing = invoice["total"]["amount_minor"] * 10_000 - received
        forgiven = 0 if self._flaw == "no tolerance" else invoice["tolerance"] * 10_000
        settlement = "overpaid" if missing < 0 else "paid" if missing <= forgiven else "partial"
        settlement = settlement if received else "unpaid"
        timeliness = "on_time"
        if settlement in ("unpaid", "partial") and invoice["expires_at"]:
            now, expires = self._world.now(), datetime.fromisoformat(invoice["expires_at"])
            due = datetime.fromisoformat(invoice["due_at"]) < now
            timeliness = "expired" if expires < now else "overdue" if due else "on_time"
        shown["status"] = {
            "document": invoice["status"]["document"],
            "settlement": settlement,
            "timeliness": timeliness,
        }
        return status, {"ETag": f'"{invoice["version"]}"'}, json.dumps(shown).encode()


ROUGH_CLIENT = ClientFaults(
    hangs_up=0.1, forgets=0.1, twice_at_once=0.2, repeats=0.3, reuses_key=0.3
)

TELLING_PLANS = (("exact", 1), ("parts", 2), ("within_tolerance", 2), ("wrong_token", 2))


def a_company(
    seed: int, *, rough: float = 0.15, flaw: str = "", invoices: int = 30
) -> tuple[World, Client, list[str]]:
    world = World(seed)

    async def life() -> Any:
        chain = SimChain(world.chooser, world.now, facts, reached=world.reached)
        making = asyncio.ensure_future(chain.run())
        toy = Toy(world, chain, rough=rough, flaw=flaw)
        client = Client(
            "acme",
            toy.call,
            "key",
            chooser=world.chooser,
            now=world.now,
            faults=ROUGH_CLIENT,
            habits=Habits(not_served=0.1),
            reached=world.reached,
        )
        payer = Payer(
            chain,
            chooser=world.chooser,
            now=world.now,
            reached=world.reached,
            plans=TELLING_PLANS if flaw else Payer.PLANS,
        )
        await client.run(invoices, payer)
        client.calm()
        await asyncio.sleep(60)
        found = await verdict(client, chain.truth(), now=world.now())
        making.cancel()
        return client, found

    client, found = world.run(life())
    return world, client, found


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_against_a_platform_that_is_right(seed: int) -> None:
    _, client, found = a_company(seed)
    assert found == []
    assert len(client.bills) == 30
    assert len(client.announced) > 5


FLAWS = {
    "no idempotency": "no replay",
    "any body": "took another body",
    "other bytes": "was answered by",
    "lost update": "was not refused",
    "forgets": "cannot be read",
    "wrong total": "is shown as",
    "no void": "was acknowledged as void",
    "any money": "the chain has",
    "counts twice": "the chain has",
    "no tolerance": "should be paid",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_of_a_platform_is_found(flaw: str) -> None:
    found = [finding for seed in range(3) for finding in a_company(seed, flaw=flaw)[2]]
    assert any(FLAWS[flaw] in finding for finding in found)


def test_every_habit_of_clients_and_payers_is_reached() -> None:
    marks: Counter[str] = Counter()
    for seed in range(4):
        marks += a_company(seed)[0].marks
    elsewhere = {
        "client.issued_again",
        "client.told_in_progress",
        "client.waited_for_wallet",
        "client.webhook_registered",
    }
    assert set(marks) | elsewhere == set(client_module.REACHED)


def test_one_seed_is_one_history_of_a_company() -> None:
    one, other = a_company(2), a_company(2)
    assert one[1].bills == other[1].bills
    assert one[0].marks == other[0].marks
    assert one[1].bills != a_company(3)[1].bills
