"""A source is reconciled step by step: matched, classed, proved, worked, signed by a second person."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.auth import Caller, TokenMint
from invoiceos_contracts import PLATFORM
from invoiceos_contracts.ledger_v1 import ReserveFreezeLifted, ReserveReconciled
from invoiceos_contracts.provider_v1 import ProviderStatementLinesObserved, StatementLine
from messaging import Tx
from reserve_ledger.commands.reconcile_reserves import take_step
from reserve_ledger.workers import advance
from testkit.service import ServiceUnderTest

SOURCE = "tempo:1:0xmaster"
PUBLIC = Ed25519PrivateKey.from_private_bytes(b"k" * 32).public_key().public_bytes_raw()


class Desk:
    """Two people with the operators' scope, and one tenant without."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._mint = TokenMint(base64.b64encode(b"k" * 32).decode())

    async def ask(self, method: str, path: str, who: str = "maker", **body: Any) -> Any:
        tenant = PLATFORM if who in ("maker", "checker") else uuid4()
        token = self._mint.mint(Caller(tenant, who, frozenset({"operator"})))
        return await self._client.request(
            method,
            f"/api/v1/reserves/{path}",
            json=body if method == "POST" and body else None,
            headers={"Authorization": f"Bearer {token}"},
        )

    async def post(self, path: str, who: str = "maker", **body: Any) -> Any:
        answer = await self.ask("POST", path, who, **body)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def code(self, path: str, who: str = "maker", **body: Any) -> str:
        return str((await self.ask("POST", path, who, **body)).json()["code"])


@pytest.fixture
def desk(served: httpx.AsyncClient) -> Desk:
    return Desk(served)


def listed(
    *lines: tuple[str, int], opening: int = 0, closing: int | None = None, age: timedelta
) -> ProviderStatementLinesObserved:
    at = datetime.now(UTC) - age
    return ProviderStatementLinesObserved(
        tenant_id=PLATFORM,
        source_id=uuid4(),
        source=SOURCE,
        asset="PATHUSD",
        statement=f"blocks {uuid4()}",
        page=1,
        last_page=True,
        starts_at=at - timedelta(seconds=1),
        ends_at=at + timedelta(seconds=1),
        opening_minor=opening,
        closing_minor=opening + sum(n for _, n in lines) if closing is None else closing,
        lines=tuple(
            StatementLine(reference=name, amount_minor=minor, at=at) for name, minor in lines
        ),
    )


def paid(payer: Any, reference: str, amount: int) -> Any:
    return payer.succeeded(Tx.new_id(), amount).model_copy(update={"provider_reference": reference})


async def finished(ledger: ServiceUnderTest) -> None:
    while await advance(ledger.worker):
        pass


HOUR = timedelta(hours=1)


async def test_a_small_set_end_to_end(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, desk: Desk
) -> None:
    await ledger.receives(paid(payer, "a", 100), paid(payer, "b", 203), paid(payer, "late", 9))
    await ledger.receives(
        listed(("a", 100), ("b", 200), ("nobody", 50), age=HOUR),
        listed(("c", 1), opening=350, age=HOUR / 2),
    )
    (begun,) = (await desk.post("reconcile"))["items"]
    assert await desk.code("reconcile") == "nothing_to_reconcile"
    await finished(ledger)
    view = await desk.get(f"reconciliations/{begun['id']}")
    assert (view["step"], view["steps_made"], view["steps"]) == ("sign_off", 4, 5)
    assert (view["external_count"], view["ledger_count"]) == (4, 3)
    assert (view["matched_count"], view["break_count"], view["proved"]) == (1, 4, True)
    assert view["proof"]["ledger"]["closing_minor"] == 312
    assert view["proof"]["unexplained_minor"] == 0
    found = {b["kind"]: b for b in (await desk.get("breaks"))["items"]}
    assert set(found) == {"amount", "missing_in_ledger", "timing"}
    assert found["amount"]["amount_minor"] == -3
    assert await desk.code(f"reconciliations/{begun['id']}/sign-off") == "maker_cannot_approve"
    await desk.post(f"reconciliations/{begun['id']}/sign-off", "checker")
    (reconciled,) = await ledger.facts(ReserveReconciled)
    assert (reconciled.created_by, reconciled.signed_by) == ("maker", "checker")
    assert (reconciled.breaks_open, len(reconciled.content_hash)) == (4, 64)
    await auditor.sound()


async def test_a_break_is_adjusted_by_a_posting_that_a_second_person_approved(
    ledger: ServiceUnderTest, payer: Any, auditor: Any, desk: Desk
) -> None:
    await ledger.receives(paid(payer, "b", 203), listed(("b", 200), ("x", 50), age=HOUR))
    await desk.post("reconcile")
    await finished(ledger)
    found = {b["kind"]: b["id"] for b in (await desk.get("breaks"))["items"]}
    fee, stranger = found["amount"], found["missing_in_ledger"]
    await desk.post(f"breaks/{fee}/assign", assignee="ada")
    await desk.post(f"breaks/{fee}/comment", text="the bank kept three")
    assert await desk.code(f"breaks/{fee}/approve", "checker") == "break_not_in_state"
    await desk.post(f"breaks/{fee}/propose", resolution="fee", reason="their fee")
    assert await desk.code(f"breaks/{fee}/approve") == "maker_cannot_approve"
    await desk.post(f"breaks/{stranger}/propose", "checker", resolution="suspense", reason="whose?")
    await desk.post(f"breaks/{fee}/approve", "checker")
    await desk.post(f"breaks/{stranger}/approve")
    await finished(ledger)
    await finished(ledger)
    after = await desk.get(f"breaks/{fee}")
    assert (after["state"], after["closed_because"], after["assignee"]) == (
        "closed",
        "adjusted",
        "ada",
    )
    assert [note["text"].partition(":")[0] for note in after["notes"]] == [
        "assign",
        "comment",
        "propose",
        "approve",
    ]
    balances = await auditor.balances(payer.tenant_id)
    assert (balances["1200", "PATHUSD"], balances["5100", "PATHUSD"]) == (200, 3)
    assert await auditor.balances(PLATFORM) == {("1900", "PATHUSD"): 50, ("2900", "PATHUSD"): -50}
    assert (await desk.get("breaks"))["items"] == []
    assert await desk.code(f"breaks/{uuid4()}/approve") == "break_not_found"
    await auditor.sound()


@pytest.mark.parametrize("step", ["staging", "matching", "classifying", "proving"])
async def test_death_in_any_step_loses_and_doubles_nothing(
    ledger: ServiceUnderTest, payer: Any, desk: Desk, step: str
) -> None:
    await ledger.receives(
        paid(payer, "a", 100), paid(payer, "b", 203), listed(("a", 100), ("b", 200), age=HOUR)
    )
    (begun,) = (await desk.post("reconcile"))["items"]
    died = False
    while True:
        try:
            async with ledger.worker.transaction() as tx:
                job = await take_step(tx)
                if job is not None and job.step == step and not died:
                    died = True
                    raise ConnectionResetError
        except ConnectionResetError:
            continue
        if job is None:
            break
    view = await desk.get(f"reconciliations/{begun['id']}")
    assert died
    assert (view["matched_count"], view["break_count"], view["proved"]) == (1, 1, True)
    assert len((await desk.get("breaks"))["items"]) == 1


async def test_a_timing_break_closes_by_itself_when_its_counterpart_comes(
    ledger: ServiceUnderTest, payer: Any, desk: Desk
) -> None:
    await ledger.receives(paid(payer, "a", 100), listed(("z", 0), age=HOUR))
    (begun,) = (await desk.post("reconcile"))["items"]
    await finished(ledger)
    kinds = {b["reference"]: b["kind"] for b in (await desk.get("breaks"))["items"]}
    assert kinds["a"] == "timing"
    await desk.post(f"reconciliations/{begun['id']}/sign-off", "checker")
    await ledger.receives(listed(("a", 100), age=timedelta(seconds=1)))
    await desk.post("reconcile")
    await finished(ledger)
    closed = (await desk.ask("GET", "breaks?state=closed")).json()["items"]
    assert [(b["reference"], b["closed_because"]) for b in closed] == [("a", "counterpart_came")]


async def test_a_statement_whose_closing_does_not_follow_is_not_signed_off(
    ledger: ServiceUnderTest, payer: Any, desk: Desk
) -> None:
    await ledger.receives(listed(("a", 100), opening=5, closing=104, age=HOUR))
    (begun,) = (await desk.post("reconcile"))["items"]
    await finished(ledger)
    view = await desk.get(f"reconciliations/{begun['id']}")
    assert view["proof"]["external"]["off_minor"] == 1
    code = await desk.code(f"reconciliations/{begun['id']}/sign-off", "checker")
    assert code == "reconciliation_not_proved"


async def test_no_tenant_decides_about_the_reserve(desk: Desk, ledger: ServiceUnderTest) -> None:
    assert await desk.code("reconcile", "a tenant") == "operators_only"
    assert await desk.code("freeze/lift", reason="none") == "not_frozen"
    assert await desk.code("reconcile") == "nothing_to_reconcile"


async def test_a_page_that_comes_again_or_overlaps_adds_no_line(ledger: ServiceUnderTest) -> None:
    first, wider = listed(("a", 1), age=HOUR), listed(("a", 1), ("b", 2), age=HOUR)
    await ledger.receives(first, first, wider)
    await ledger.receives(first)
    assert await ledger.worker.fetchval("select count(*) from external_line") == 2
    assert await ledger.facts(ReserveFreezeLifted) == []
