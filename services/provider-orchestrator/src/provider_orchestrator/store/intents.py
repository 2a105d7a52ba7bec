"""Intents, their shares and their attempts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from messaging import Tx
from provider_orchestrator.domain.adapters import Kind, Order, Status
from provider_orchestrator.domain.attempts import State
from provider_orchestrator.domain.collecting import Collected
from provider_orchestrator.domain.intents import Intent, IntentState, Share, Trial
from provider_orchestrator.domain.outcomes import Outcome
from provider_orchestrator.domain.payment_rules import PaymentFacts, Verdict

Key = tuple[UUID, UUID]
"""Tenant, and id of an intent or attempt."""
_APART = frozenset({"provider_reference", "prepared"})
"""Of an order, what has a column of its own: it is known later, or is bytes."""
_INTENT = """
    tenant_id, id, state, cause, amount_minor, asset, method, payer_country, instrument,
    manual_capture, description, return_url, captured_minor, giving_up, action, route_at,
    expires_at, created_by, created_at, rules_version, rules_facts, rules_verdict
"""
_TRIAL = """
    a.tenant_id, a.id, a.intent_id, a.kind, a.number, a.provider, a.rail, a.decision_id,
    a.decision_reason, a.order_body, a.prepared, a.state, a.status, a.outcome, a.cause,
    a.provider_reference, a.captured_minor, a.captured_asset, a.authorized_minor, a.fee_minor,
    a.raw, a.unknown_since, a.inquiries, a.due_at, a.resolved_by, a.resolved_reason
"""


async def insert_intents(tx: Tx, intents: Sequence[Intent]) -> None:
    """Keep intents with their shares; whoever calls holds the locks of their invoices."""
    await tx.execute(
        """
        insert into payment_intent (tenant_id, id, state, amount_minor, asset, method,
            payer_country, instrument, manual_capture, description, return_url, route_at,
            expires_at, created_by, rules_version, rules_facts, rules_verdict, created_at,
            updated_at)
        select tenant_id, id, state, amount_minor, asset, method, payer_country, instrument,
               manual_capture, description, return_url, $14, expires_at, created_by,
               rules_version, rules_facts, rules_verdict, $14, $14
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[],
                    $7::text[], $8::text[], $9::bool[], $10::text[], $11::text[],
                    $12::timestamptz[], $13::text[], $15::int[], $16::jsonb[], $17::jsonb[])
            as i(tenant_id, id, state, amount_minor, asset, method, payer_country, instrument,
                 manual_capture, description, return_url, expires_at, created_by,
                 rules_version, rules_facts, rules_verdict)
        """,
        [one.tenant_id for one in intents],
        [one.id for one in intents],
        [one.state for one in intents],
        [one.amount_minor for one in intents],
        [one.asset for one in intents],
        [one.method for one in intents],
        [one.payer_country for one in intents],
        [one.instrument for one in intents],
        [one.manual_capture for one in intents],
        [one.description for one in intents],
        [one.return_url for one in intents],
        [one.expires_at for one in intents],
        [one.created_by for one in intents],
        tx.now,
        [one.rules_version for one in intents],
        [_kept(one.rules_facts) for one in intents],
        [_kept(one.rules_verdict) for one in intents],
    )
    shares = [(one.tenant_id, one.id, share) for one in intents for share in one.shares]
    await tx.execute(
        """
        insert into payment_share (tenant_id, intent_id, payment_id, invoice_id, wallet_id, place,
                                   amount_minor, due_minor)
        select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::int[],
                             $7::bigint[], $8::bigint[])
        """,
        [tenant for tenant, _, _ in shares],
        [intent for _, intent, _ in shares],
        [share.payment_id for _, _, share in shares],
        [share.invoice_id for _, _, share in shares],
        [share.wallet_id for _, _, share in shares],
        [share.place for _, _, share in shares],
        [share.amount_minor for _, _, share in shares],
        [share.due_minor for _, _, share in shares],
    )


async def leased(tx: Tx, invoices: Sequence[Key]) -> set[Key]:
    """Which of these invoices have an intent that may still take money."""
    rows = await tx.fetch(
        """
        select tenant_id, invoice_id from payment_share
        where live and (tenant_id, invoice_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        """,
        [tenant for tenant, _ in invoices],
        [invoice for _, invoice in invoices],
    )
    return {(row["tenant_id"], row["invoice_id"]) for row in rows}


async def lock_intents(tx: Tx, keys: Sequence[Key]) -> dict[UUID, Intent]:
    """Intents by id, locked in one order."""
    rows = await tx.fetch(
        f"""
        select {_INTENT} from payment_intent
        where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by tenant_id, id for update
        """,
        [tenant for tenant, _ in keys],
        [intent for _, intent in keys],
    )
    return await _with_shares(tx, rows)


async def lock_waiting(tx: Tx, limit: int) -> dict[UUID, Intent]:
    """Intents that want a provider now, locked; others may work at others meanwhile."""
    rows = await tx.fetch(
        f"""
        select {_INTENT} from payment_intent where route_at <= $1
        order by route_at limit $2 for update skip locked
        """,
        tx.now,
        limit,
    )
    return await _with_shares(tx, rows)


async def _with_shares(tx: Tx, rows: Sequence[Any]) -> dict[UUID, Intent]:
    found = await tx.fetch(
        """
        select intent_id, payment_id, invoice_id, wallet_id, place, amount_minor, due_minor
        from payment_share
        where (tenant_id, intent_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by intent_id, place
        """,
        [row["tenant_id"] for row in rows],
        [row["id"] for row in rows],
    )
    shares: dict[UUID, list[Share]] = {}
    for row in found:
        known = {name: value for name, value in row.items() if name != "intent_id"}
        shares.setdefault(row["intent_id"], []).append(Share(**known))
    return {row["id"]: _intent(row, shares.get(row["id"], [])) for row in rows}


def _kept(value: BaseModel | None) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="json")


def _intent(row: Any, shares: Sequence[Share]) -> Intent:
    giving_up, facts, verdict = row["giving_up"], row["rules_facts"], row["rules_verdict"]
    return Intent(
        **{
            **row,
            "state": IntentState(row["state"]),
            "giving_up": None if giving_up is None else IntentState(giving_up),
            "rules_facts": None if facts is None else PaymentFacts.model_validate(facts),
            "rules_verdict": None if verdict is None else Verdict.model_validate(verdict),
            "shares": tuple(shares),
        }
    )


async def save_intents(tx: Tx, intents: Sequence[Intent]) -> None:
    """Write intents as they stand now."""
    await tx.execute(
        """
        update payment_intent as i
        set state = n.state, cause = n.cause, captured_minor = n.captured_minor,
            giving_up = n.giving_up, action = n.action::jsonb, route_at = n.route_at,
            updated_at = $9
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                    $7::text[], $8::timestamptz[])
            as n(tenant_id, id, state, cause, captured_minor, giving_up, action, route_at)
        where i.tenant_id = n.tenant_id and i.id = n.id
        """,
        [one.tenant_id for one in intents],
        [one.id for one in intents],
        [one.state for one in intents],
        [one.cause for one in intents],
        [one.captured_minor for one in intents],
        [one.giving_up for one in intents],
        [None if one.action is None else json.dumps(dict(one.action)) for one in intents],
        [one.route_at for one in intents],
        tx.now,
    )


async def insert_trials(tx: Tx, trials: Sequence[Trial]) -> None:
    """Keep attempts with their orders, before anything is sent."""
    await tx.execute(
        """
        insert into payment_attempt (tenant_id, id, intent_id, kind, number, provider, rail,
            decision_id, decision_reason, key, order_body, prepared, amount_minor, asset, state,
            due_at, created_at, updated_at)
        select tenant_id, id, intent_id, kind, number, provider, rail, decision_id,
               decision_reason, key, order_body, prepared, amount_minor, asset, 'created',
               $15, $15, $15
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::text[],
                    $7::text[], $8::uuid[], $9::text[], $10::uuid[], $11::jsonb[], $12::bytea[],
                    $13::bigint[], $14::text[])
            as a(tenant_id, id, intent_id, kind, number, provider, rail, decision_id,
                 decision_reason, key, order_body, prepared, amount_minor, asset)
        """,
        [one.tenant_id for one in trials],
        [one.id for one in trials],
        [one.intent_id for one in trials],
        [one.kind for one in trials],
        [one.number for one in trials],
        [one.provider for one in trials],
        [one.rail for one in trials],
        [one.decision_id for one in trials],
        [one.decision_reason for one in trials],
        [one.order.key for one in trials],
        [_body(one.order) for one in trials],
        [one.order.prepared for one in trials],
        [one.order.amount_minor for one in trials],
        [one.order.asset for one in trials],
        tx.now,
    )


async def trials_of(tx: Tx, keys: Sequence[Key]) -> dict[UUID, list[Trial]]:
    """All attempts of these intents, by intent, in their order."""
    rows = await tx.fetch(
        f"""
        select {_TRIAL} from payment_attempt as a
        where (tenant_id, intent_id) in (select * from unnest($1::uuid[], $2::uuid[]))
        order by a.intent_id, a.created_at, a.kind, a.number
        """,
        [tenant for tenant, _ in keys],
        [intent for _, intent in keys],
    )
    found: dict[UUID, list[Trial]] = {}
    for row in rows:
        found.setdefault(row["intent_id"], []).append(_trial(row))
    return found


async def select_trials(tx: Tx, keys: Sequence[Key]) -> dict[UUID, Trial]:
    """Attempts by id."""
    rows = await tx.fetch(
        f"""
        select {_TRIAL} from payment_attempt as a
        where (a.tenant_id, a.id) in (select * from unnest($1::uuid[], $2::uuid[]))
        """,
        [tenant for tenant, _ in keys],
        [attempt for _, attempt in keys],
    )
    return {row["id"]: _trial(row) for row in rows}


async def save_trials(tx: Tx, trials: Sequence[Trial]) -> None:
    """Write attempts as they stand now; whoever carried one out gives its lease back."""
    rows = [
        (
            *(one.tenant_id, one.id, one.state, one.status, one.outcome, one.cause),
            *(one.provider_reference, one.captured_minor, one.captured_asset),
            *(one.authorized_minor, one.fee_minor, dict(one.raw), one.unknown_since),
            *(one.inquiries, one.due_at, one.resolved_by, one.resolved_reason),
        )
        for one in trials
    ]
    await tx.execute(
        """
        with mine as materialized (
            -- In the order in which webhooks lock them, so that none waits for the other in a ring.
            select tenant_id, id from payment_attempt
            where (tenant_id, id) in (select * from unnest($1::uuid[], $2::uuid[]))
            order by tenant_id, id for update)
        update payment_attempt as a
        set state = n.state, status = n.status, outcome = n.outcome, cause = n.cause,
            provider_reference = n.provider_reference, captured_minor = n.captured_minor,
            captured_asset = n.captured_asset, authorized_minor = n.authorized_minor,
            fee_minor = n.fee_minor, raw = n.raw, unknown_since = n.unknown_since,
            inquiries = n.inquiries, due_at = n.due_at, resolved_by = n.resolved_by,
            resolved_reason = n.resolved_reason, leased_until = null, updated_at = $18
        from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[],
                    $12::jsonb[], $13::timestamptz[], $14::int[], $15::timestamptz[], $16::text[],
                    $17::text[])
            as n(tenant_id, id, state, status, outcome, cause, provider_reference, captured_minor,
                 captured_asset, authorized_minor, fee_minor, raw, unknown_since, inquiries, due_at,
                 resolved_by, resolved_reason)
        join mine using (tenant_id, id)
        where a.tenant_id = n.tenant_id and a.id = n.id
        """,
        *[list(column) for column in zip(*rows, strict=True)],
        tx.now,
    )


async def claim_due(tx: Tx, limit: int, lease: timedelta) -> list[tuple[Trial, bool]]:
    """Take attempts whose time has come, and whether each is sent for the first time.

    Intent and attempt are locked together and without waiting. One that was sent by a process that
    never said how it went has an outcome that is unknown.
    """
    rows = await tx.fetch(
        f"""
        with due as materialized (
            select d.tenant_id, d.id, d.state as was from payment_attempt as d
            join payment_intent as i on i.tenant_id = d.tenant_id and i.id = d.intent_id
            where d.due_at <= $1 and (d.leased_until is null or d.leased_until <= $1)
            order by d.due_at limit $2 for update of d, i skip locked)
        update payment_attempt as a
        set leased_until = $1 + $3::interval,
            unknown_since = case when a.state = 'sent' and a.status is null then $1
                                 else a.unknown_since end,
            state = case when a.state = 'created' then 'sent'
                         when a.state = 'sent' and a.status is null then 'unknown'
                         else a.state end,
            updated_at = $1
        from due where a.tenant_id = due.tenant_id and a.id = due.id
        returning {_TRIAL}, due.was
        """,
        tx.now,
        limit,
        lease,
    )
    return [(_trial(row), row["was"] == State.CREATED) for row in rows]


async def insert_collected(tx: Tx, payments: Sequence[Collected]) -> set[UUID]:
    """Payments that were not known before; what a provider captured is a payment once."""
    rows = [
        (
            *(p.tenant_id, p.id, tx.new_id(), p.wallet_id, p.invoice_id, p.provider, p.rail),
            *(p.state, p.cause, p.amount_minor, p.asset, p.due_minor, p.due_asset, p.reference),
            *(p.intent_id, p.attempt_id, p.fee_minor, p.final_at, p.captured_from_minor),
        )
        for p in payments
    ]
    found = await tx.fetch(
        """
        insert into payment (tenant_id, id, position, wallet_id, invoice_id, provider, rail, state,
            cause, amount_minor, asset, due_minor, due_asset, expected, reference, intent_id,
            attempt_id, fee_minor, held_at, final_at, updated_at, captured_from_minor)
        select tenant_id, id, position, wallet_id, invoice_id, provider, rail, state, cause,
               amount_minor, asset, due_minor, due_asset, array[due_asset], reference, intent_id,
               attempt_id, fee_minor, 'clearing', final_at, final_at, captured_from_minor
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                    $7::text[], $8::text[], $9::text[], $10::bigint[], $11::text[], $12::bigint[],
                    $13::text[], $14::text[], $15::uuid[], $16::uuid[], $17::bigint[],
                    $18::timestamptz[], $19::bigint[])
            as p(tenant_id, id, position, wallet_id, invoice_id, provider, rail, state, cause,
                 amount_minor, asset, due_minor, due_asset, reference, intent_id, attempt_id,
                 fee_minor, final_at, captured_from_minor)
        on conflict do nothing returning id
        """,
        *[list(column) for column in zip(*rows, strict=True)],
    )
    return {row["id"] for row in found}


def _body(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for one in fields(order):
        if one.name in _APART:
            continue
        value = getattr(order, one.name)
        if isinstance(value, UUID):
            value = str(value)
        elif isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, Mapping):
            value = dict(value)
        body[one.name] = value
    return body


def order_of(body: Mapping[str, Any], prepared: bytes | None = None) -> Order:
    """An order as it was stored."""
    told = dict(body) | {
        "kind": Kind(body["kind"]),
        "created_at": datetime.fromisoformat(body["created_at"]),
        "prepared": prepared,
    }
    return Order(**told | {name: UUID(body[name]) for name in ("id", "tenant_id", "key")})


def _trial(row: Any) -> Trial:
    told = {name: value for name, value in row.items() if name not in ("prepared", "was")}
    body = told.pop("order_body")
    return Trial(
        **{
            **told,
            "kind": Kind(row["kind"]),
            "state": State(row["state"]),
            "status": None if row["status"] is None else Status(row["status"]),
            "outcome": None if row["outcome"] is None else Outcome(row["outcome"]),
            "order": order_of(body, row["prepared"]),
        }
    )
