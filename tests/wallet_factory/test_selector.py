"""The mode selector: what the model may decide, what it learns, and the log of both."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from audit.selector_commands import selector
from invoiceos_contracts import PLATFORM, Amount
from invoiceos_contracts.ephemeral_v1 import EphemeralWalletDrained, LateFundsDetected
from invoiceos_contracts.invoice_v1 import InvoiceIssuing
from invoiceos_contracts.wallet_v1 import WalletModeSelected, WalletReady
from testkit.service import ServiceUnderTest
from wallet_factory.commands import learn_modes as learner
from wallet_factory.commands.switch_selector import Switch, switch_selector
from wallet_factory.domain.learning import Label, Learned, learn
from wallet_factory.domain.selector import (
    EXPLORATION_PPM,
    Model,
    Selector,
    Standing,
    _draw,
    features_of,
    select,
)
from wallet_factory.queries import selector as queries

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
Issuing = Callable[..., InvoiceIssuing]
SURE = Model(7, Standing.LIVE, "ab" * 32, intercept=3.0, weights={"log_amount": 0.5})


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "_in_use", None)


def unexplored(issuing: Issuing, **changes: Any) -> InvoiceIssuing:
    while _draw((asked := issuing(**changes)).invoice_id) < EXPLORATION_PPM:
        pass
    return asked


def labels(count: int, seed: int = 5, *, days: int = 14, flip: bool = False) -> list[Label]:
    chance = random.Random(seed)
    made = []
    for n in range(count):
        known = chance.random() < 0.5
        right = known if chance.random() < 0.9 else not known
        values = {"payer_invoices": 5_000_000 * known, "log_amount": chance.randint(1, 5_000_000)}
        at = NOON + timedelta(days=days) * (n / count)
        made.append(Label("one_off.v1", values, right != flip, at))
    return made


def test_a_live_model_decides_only_where_the_rules_leave_it_open(issuing: Issuing) -> None:
    selector = Selector(SURE)
    decided = select(unexplored(issuing), selector, 30)
    assert (decided.choice.mode, decided.choice.rule) == ("persistent", "model.v1")
    assert decided.path == ("one_off.v1", "model_decides")
    wished = select(unexplored(issuing, mode="ephemeral"), selector, 30)
    assert (wished.choice.mode, wished.override) == ("ephemeral", "ephemeral")
    recurring = select(issuing(recurring=True), selector, 30)
    assert recurring.path == ("recurring.v1", "rule_is_hard")
    small = Selector(SURE, small_amounts={"USD": 12_500})
    assert select(unexplored(issuing), small, 30).choice.rule == "small_one_off.v1"


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        (Selector(), "no_model"),
        (Selector(replace(SURE, standing=Standing.SHADOW)), "in_shadow"),
        (Selector(replace(SURE, intercept=0.1)), "in_doubt"),
        (Selector(SURE, stopped_for_all=True), "switched_off"),
    ],
)
def test_else_the_default_of_the_rules_stands(
    issuing: Issuing, selector: Selector, said: str
) -> None:
    asked = unexplored(issuing)
    found = select(asked, selector, 30)
    assert (found.choice.mode, found.choice.rule) == ("ephemeral", "one_off.v1")
    assert found.path[-1] == said
    mine = select(asked, replace(selector, stopped=frozenset({asked.tenant_id})), 30)
    assert mine.choice.rule == "one_off.v1"


def test_two_of_a_hundred_are_chosen_by_lot_and_the_same_ones_again(issuing: Issuing) -> None:
    asked = [issuing(tenant_id=PLATFORM) for _ in range(3000)]
    chosen = [select(one, Selector(SURE), 30) for one in asked]
    explored = [one for one in chosen if one.choice.rule == "exploration.v1"]
    assert 20 < len(explored) < 120
    assert [select(one, Selector(SURE), 30) for one in asked] == chosen


def test_the_model_goes_live_when_it_was_better_than_the_rules_over_a_week() -> None:
    assert learn(Learned(), labels(450)).standing == "shadow", "too few labels"
    assert learn(Learned(), labels(600, days=3)).standing == "shadow", "not yet a week"
    learned = learn(Learned(), labels(600))
    _, model, rules = learned.losses()
    assert learned.standing == "live"
    assert model < rules


def test_a_drift_sends_the_model_back_into_the_shadow() -> None:
    learned = learn(Learned(), labels(800))
    assert learned.standing == "live"
    turned = [replace(one, at=one.at + timedelta(days=15)) for one in labels(200, 6, flip=True)]
    fallen = learn(learned, turned)
    assert (fallen.standing, fallen.reverted) == ("shadow", 1)


def test_learning_in_parts_is_learning_at_once_to_the_last_bit() -> None:
    every = labels(300)
    parts = Learned()
    for start in range(0, 300, 70):
        stored = learn(parts, every[start : start + 70]).plain()
        parts = Learned(**stored)
    assert parts.hash == learn(Learned(), every).hash


def test_deciding_needs_no_library_and_says_what_it_would(issuing: Issuing) -> None:
    from river import linear_model, optim, preprocessing

    scaler = preprocessing.StandardScaler()
    model = linear_model.LogisticRegression(optimizer=optim.SGD(0.02), l2=1e-4)
    for label in labels(200):
        values = {name: value / 1e6 for name, value in sorted(label.features.items())}
        scaler.learn_one(values)
        model.learn_one(scaler.transform_one(values), label.persistent_was_right)
    ours = learn(Learned(), labels(200)).model(1)
    asked = labels(1, 9)[0].features
    said = ours.intercept + sum(ours.contributions(asked).values())
    theirs = model.predict_proba_one(
        scaler.transform_one({name: value / 1e6 for name, value in asked.items()})
    )[True]
    assert math.isclose(1 / (1 + math.exp(-said)), theirs, rel_tol=1e-9)
    assert all(isinstance(value, int) for value in features_of(issuing(), 30).values())


async def test_decisions_and_what_came_of_them_stand_in_a_chain(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    tenant = uuid4()
    payer = uuid4()
    first = issuing(tenant_id=tenant).model_copy(update={"customer_id": payer})
    second = issuing(tenant_id=tenant).model_copy(update={"customer_id": payer})
    wished = issuing(tenant_id=tenant, mode="persistent")
    await unit.receives(first)
    await unit.receives(second, wished, issuing())
    ready = {fact.invoice_id: fact for fact in await unit.facts(WalletReady)}
    late = LateFundsDetected(
        tenant_id=tenant,
        wallet_id=ready[second.invoice_id].wallet_id,
        invoice_id=second.invoice_id,
        payment_id=uuid4(),
        amount=Amount(amount_minor=5, asset="PATHUSD"),
        policy="await_booking",
    )
    await unit.receives(late, late)
    async with unit.api.transaction([tenant]) as tx:
        entries = await queries.entries(tx, tenant, None, 50)
        chain = await queries.verification(tx, tenant)
    assert (chain.valid, chain.entries) == (True, 6)
    causes = {e.invoice_id: e.body["cause"] for e in entries if e.kind == "outcome"}
    assert causes == {
        first.invoice_id: "second_invoice",
        second.invoice_id: "late_payment",
        wished.invoice_id: "issuer_override",
    }
    with psycopg.connect(unit.place.admin_url, autocommit=True) as connection:
        connection.execute(
            'update wallet_factory.selector_log set body = body || \'{"rule": "x"}\''
            " where sequence = 2"
        )
    async with unit.api.transaction([tenant]) as tx:
        changed = await queries.verification(tx, tenant)
    assert (changed.valid, changed.broken_at) == (False, 2)


async def test_the_model_can_be_made_again_from_the_log_of_labels(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    await unit.receives(*[issuing(mode=("ephemeral", "persistent")[n % 2]) for n in range(40)])
    await unit.receives(issuing())
    assert await learner.learn_modes(unit.worker) == 40
    assert await learner.learn_modes(unit.worker) == 0
    model = learner.model_in_use()
    assert model is not None
    assert (model.version, model.standing) == (1, Standing.SHADOW)
    assert (await learner.rebuild(unit.worker)).hash == model.hash
    await unit.receives(issuing())
    logged = await unit.worker.fetchval(
        "select body from selector_log order by logged_at desc, sequence desc limit 1"
    )
    assert (logged["model_version"], logged["model_hash"]) == (1, model.hash)
    assert logged["path"] == ["one_off.v1", "in_shadow"]
    with psycopg.connect(unit.place.admin_url, autocommit=True) as connection:
        connection.execute(
            "update wallet_factory.selector_open set decided_at = decided_at - interval '31 days'"
        )
    assert await learner.learn_modes(unit.worker) == 2, "nobody regretted them in thirty days"
    again = learner.model_in_use()
    assert again is not None
    assert (again.version, (await learner.rebuild(unit.worker)).hash) == (2, again.hash)


async def test_a_tenant_switches_the_model_off_for_itself_and_the_platform_for_all(
    unit: ServiceUnderTest, issuing: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner, "_in_use", SURE)
    mine = uuid4()
    await unit.command(switch_selector, Switch(mine, engaged=True, reason="audit", actor="me"))
    await unit.receives(unexplored(issuing, tenant_id=mine), unexplored(issuing))
    modes = {fact.tenant_id: fact.mode for fact in await unit.facts(WalletReady)}
    assert modes.pop(mine) == "ephemeral"
    assert set(modes.values()) == {"persistent"}
    await unit.command(switch_selector, Switch(PLATFORM, engaged=True, reason="stop", actor="op"))
    await unit.receives(unexplored(issuing))
    assert (await unit.facts(WalletReady))[-1].mode == "ephemeral"


def ended(ready: WalletReady, reason: str) -> EphemeralWalletDrained:
    return EphemeralWalletDrained(
        tenant_id=ready.tenant_id,
        wallet_id=ready.wallet_id,
        invoice_id=ready.invoice_id,
        reason=reason,
    )


def late(ready: WalletReady) -> LateFundsDetected:
    return LateFundsDetected(
        tenant_id=ready.tenant_id,
        wallet_id=ready.wallet_id,
        invoice_id=ready.invoice_id,
        payment_id=uuid4(),
        amount=Amount(amount_minor=5, asset="PATHUSD"),
        policy="await_booking",
    )


def a_month_later(unit: ServiceUnderTest) -> None:
    with psycopg.connect(unit.place.admin_url, autocommit=True) as connection:
        connection.execute(
            "update wallet_factory.selector_open set decided_at = decided_at - interval '31 days'"
        )


async def test_labels_come_from_what_became_of_the_invoice(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    """Paid once teaches, paid again later teaches the other; of what nobody paid nothing is."""
    asked = [issuing() for _ in range(5)]
    await unit.receives(*asked)
    by_invoice = {fact.invoice_id: fact for fact in await unit.facts(WalletReady)}
    paid, expired, void, regretted, open_ = (by_invoice[one.invoice_id] for one in asked)
    ends = [
        ended(paid, "invoice_paid"),
        ended(expired, "ttl_over"),
        ended(void, "invoice_voided"),
        ended(regretted, "ttl_over"),
    ]
    await unit.receives(*ends, *ends[::-1])
    await unit.receives(late(regretted), ended(regretted, "invoice_paid"))
    assert await learner.learn_modes(unit.worker) == 1
    a_month_later(unit)
    assert await learner.learn_modes(unit.worker) == 2
    assert await learner.learn_modes(unit.worker) == 0
    labels = await unit.worker.fetch(
        "select wallet_id, persistent_was_right, cause from selector_label"
    )
    assert {row["wallet_id"]: tuple(row)[1:] for row in labels} == {
        regretted.wallet_id: (True, "late_payment"),
        paid.wallet_id: (False, "paid_once"),
        open_.wallet_id: (False, "not_regretted"),
    }
    logged = await unit.worker.fetch(
        "select wallet_id, body from selector_log where kind = 'outcome'"
    )
    said = {
        row["wallet_id"]: (row["body"]["persistent_was_right"], row["body"]["cause"])
        for row in logged
    }
    assert (said[expired.wallet_id], said[void.wallet_id]) == (
        (None, "ttl_over"),
        (None, "invoice_voided"),
    )
    assert await unit.worker.fetchval("select count(*) from selector_open") == 0


async def test_a_command_proves_every_log_and_names_what_was_changed_or_cut_off(
    unit: ServiceUnderTest, issuing: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = uuid4(), uuid4()
    await unit.receives(*[issuing(tenant_id=mine) for _ in range(3)], issuing(tenant_id=other))
    monkeypatch.setenv("INVOICEOS_AUDIT_DATABASE_URL", unit.place.admin_url)

    def verified(*arguments: str) -> Any:
        return CliRunner().invoke(selector, ["verify", *arguments])

    right = verified()
    assert (right.exit_code, "2 logs, 4 entries: 0 broken" in right.output) == (0, True), right
    with psycopg.connect(unit.place.admin_url, autocommit=True) as connection:
        connection.execute(
            'update wallet_factory.selector_log set body = body || \'{"rule": "x"}\''
            " where tenant_id = %s and sequence = 2",
            [mine],
        )
        connection.execute("delete from wallet_factory.selector_log where tenant_id = %s", [other])
    wrong = verified()
    assert wrong.exit_code == 1
    assert f"BROKEN {mine} at entry 2" in wrong.output
    assert f"BROKEN {other} at entry 1: the log ends at 0" in wrong.output
    assert verified("--tenant", str(other)).exit_code == 1


async def test_a_model_that_earned_its_place_decides_until_its_losses_drift(
    unit: ServiceUnderTest, issuing: Issuing
) -> None:
    """On the real path: labels in the table, versions of the model, decisions of invoices."""
    await taught(unit, labels(600))
    model = learner.model_in_use()
    assert model is not None
    assert model.standing is Standing.LIVE
    await unit.receives(unexplored(issuing, payer_known=True, payer_invoices=50))
    said = (await unit.facts(WalletModeSelected))[-1]
    assert (said.mode, said.rule) == ("persistent", "model.v1")
    turned = [replace(one, at=one.at + timedelta(days=15)) for one in labels(200, 6, flip=True)]
    await taught(unit, turned)
    await unit.receives(unexplored(issuing, payer_known=True, payer_invoices=50))
    said = (await unit.facts(WalletModeSelected))[-1]
    assert (said.mode, said.rule) == ("ephemeral", "payer_known.v1")
    logged = await unit.worker.fetchval(
        "select body from selector_log order by logged_at desc, sequence desc limit 1"
    )
    assert logged["path"] == ["payer_known.v1", "in_shadow"]
    async with unit.api.transaction([PLATFORM]) as tx:
        state = await queries.state(tx, PLATFORM)
    assert (state.decides, state.standing, state.reverted) == ("rules", "shadow", 1)


async def taught(unit: ServiceUnderTest, what: list[Label]) -> None:
    """These labels as if decisions had come to them, learned by the learner itself."""
    await unit.worker.pool.executemany(
        """
        insert into selector_label (tenant_id, wallet_id, rule, features, persistent_was_right,
                                    cause, labelled_at)
        values ($1, $2, $3, $4, $5, 'test', $6)
        """,
        [(uuid4(), uuid4(), o.rule, o.features, o.persistent_was_right, o.at) for o in what],
    )
    while await learner.learn_modes(unit.worker):
        pass
