"""PayPal's disputes: a question first, a claim that takes the money back, and how it is settled."""

from urllib.parse import quote

from provider_sandbox.core.clock import iso_seconds, moment_of
from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.statements import Line, book
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.paypal.events import happened
from provider_sandbox.providers.paypal.money import reference_of
from provider_sandbox.providers.paypal.wire import (
    base_of,
    body_of,
    find,
    headers_of,
    keep,
    link,
    make,
    malformed,
    money_of,
    unprocessable,
    view,
)

PATH = "/v1/customer/disputes"
_ANSWER_FOR_S = 10 * 86_400
_PAGE_MAX = 50
_SUMMARY = (
    *("dispute_id", "reason", "status", "dispute_state", "dispute_amount", "create_time"),
    *("update_time", "dispute_life_cycle_stage", "disputed_transactions"),
)
_OUTCOMES = {"BUYER_FAVOR": "RESOLVED_BUYER_FAVOUR", "SELLER_FAVOR": "RESOLVED_SELLER_FAVOUR"}


def simulate(world: World, wanted: Document) -> Document:
    """Let a payer dispute: `capture`, and maybe `amount` (cents), `reason`, `stage` (INQUIRY)."""
    capture = world.store.get("paypal capture", str(wanted["capture"]))
    left = capture["_minor"] - capture["_refunded"] - capture.get("_disputed", 0)
    minor, stage = int(wanted.get("amount", left)), str(wanted.get("stage", "CHARGEBACK"))
    if not 0 < minor <= left or stage not in {"INQUIRY", "CHARGEBACK"}:
        raise ValueError(f"{left} of this capture may be disputed, at INQUIRY or CHARGEBACK")
    dispute = make(
        world,
        "dispute",
        reason=str(wanted.get("reason", "UNAUTHORISED")),
        status="WAITING_FOR_SELLER_RESPONSE",
        dispute_state="REQUIRED_ACTION",
        dispute_life_cycle_stage=stage,
        dispute_channel="INTERNAL",
        dispute_amount=money_of(minor, capture["_currency"]),
        disputed_transactions=[{"seller_transaction_id": capture["id"]}],
        seller_response_due_date=iso_seconds(world.now() + _ANSWER_FOR_S),
        money_movements=[],
        _minor=minor,
        _currency=capture["_currency"],
        _capture=capture["id"],
    )
    dispute["dispute_id"] = f"PP-D-{dispute['id']}"
    keep(world, dispute)
    world.store.put("paypal dispute name", dispute["dispute_id"], {"id": dispute["id"]})
    if stage == "CHARGEBACK":
        _take(world, dispute)
    happened(world, "CUSTOMER.DISPUTE.CREATED", "dispute", shown(dispute))
    return shown(dispute)


def shown(dispute: Document) -> Document:
    """A dispute as clients see it: it has a name of its own kind."""
    whole = view(dispute)
    del whole["id"]
    return whole


def _take(world: World, dispute: Document) -> None:
    _move(world, dispute, "DEBIT", -dispute["_minor"])


def _move(world: World, dispute: Document, side: str, minor: int) -> None:
    """The balance moves, and the capture knows what of it is disputed."""
    capture = world.store.get("paypal capture", dispute["_capture"])
    capture["_disputed"] = capture.get("_disputed", 0) - minor
    keep(world, capture)
    movement = {
        "affected_party": "SELLER",
        "amount": money_of(abs(minor), dispute["_currency"]),
        "initiated_time": iso_seconds(world.now()),
        "type": side,
        "reason": "DISPUTE_SETTLEMENT",
    }
    dispute["money_movements"] = [*dispute["money_movements"], movement]
    keep(world, dispute)
    book(
        world,
        "paypal",
        Line(
            id=f"{dispute['id']}{side[0]}",
            at=world.now(),
            available_at=world.now(),
            kind="T1201" if minor < 0 else "T1202",
            source=capture["id"],
            reference=reference_of(capture),
            gross_minor=minor,
            fee_minor=0,
            currency=dispute["_currency"],
        ),
    )
    told = {
        "payment": capture["_order"],
        "object": dispute["dispute_id"],
        "reference": reference_of(capture),
        "amount_minor": -minor,
        "currency": dispute["_currency"],
    }
    world.state_fact("paypal", "disputed", told)


def _named(call: Call) -> Document:
    name = call.world.store.find("paypal dispute name", call.ids["id"]) or {"id": "none"}
    return find(call, "dispute", name["id"])


def _resolve(world: World, dispute: Document, outcome: str, *, wins: bool) -> None:
    taken = any(one["type"] == "DEBIT" for one in dispute["money_movements"])
    if wins and taken:
        _move(world, dispute, "CREDIT", dispute["_minor"])
    elif not wins and not taken:
        _take(world, dispute)
    dispute |= {
        "status": "RESOLVED",
        "dispute_state": "RESOLVED",
        "dispute_outcome": {"outcome_code": outcome},
    }
    keep(world, dispute)
    happened(world, "CUSTOMER.DISPUTE.RESOLVED", "dispute", shown(dispute))


def _open(call: Call) -> Document:
    dispute = _named(call)
    if dispute["status"] == "RESOLVED":
        raise unprocessable(call, "ACTION_NOT_ALLOWED_IN_CURRENT_DISPUTE_STATE", "It is resolved.")
    return dispute


def _done(call: Call, dispute: Document) -> Answer:
    path = f"{PATH}/{dispute['dispute_id']}"
    return Answer(200, {"links": [link(base_of(call.world), path, "self")]}, headers_of(call))


def read(call: Call) -> Answer:
    """One dispute, whole."""
    return Answer(200, shown(_named(call)), headers_of(call))


def listed(call: Call) -> Answer:
    """Disputes, the newest first: of one transaction, or begun since a moment."""
    about, since = call.one("disputed_transaction_id"), call.one("start_time")
    try:
        begin = moment_of(since) if since else 0
    except ValueError:
        raise malformed(call, "start_time", "INVALID_PARAMETER_VALUE", "This is no time.") from None
    size, token = call.one("page_size", "10"), call.one("next_page_token", "0")
    many = min(_PAGE_MAX, int(size)) if size.isdigit() and int(size) else 10
    start = int(token) if token.isdigit() else 0
    found = [
        one
        for one in reversed(list(call.world.store.all("paypal dispute")))
        if about in ("", one["_capture"]) and moment_of(one["create_time"]) >= begin
    ]
    links = []
    if start + many < len(found):
        query = f"page_size={many}&next_page_token={start + many}"
        query += "".join(
            f"&{name}={quote(value)}"
            for name, value in (("disputed_transaction_id", about), ("start_time", since))
            if value
        )
        links = [link(base_of(call.world), f"{PATH}?{query}", "next")]
    items = [{name: one[name] for name in _SUMMARY} for one in found[start:][:many]]
    return Answer(200, {"items": items, "links": links}, headers_of(call))


def accept(call: Call) -> Answer:
    """Give in."""
    body_of(call)
    dispute = _open(call)
    _resolve(call.world, dispute, "RESOLVED_BUYER_FAVOUR", wins=False)
    return _done(call, dispute)


def escalate(call: Call) -> Answer:
    """A question becomes a claim: the money is taken back."""
    dispute = _open(call)
    if dispute["dispute_life_cycle_stage"] != "INQUIRY":
        raise unprocessable(call, "ACTION_NOT_ALLOWED_IN_CURRENT_DISPUTE_STATE", "It is a claim.")
    dispute["dispute_life_cycle_stage"] = "CHARGEBACK"
    keep(call.world, dispute)
    _take(call.world, dispute)
    happened(call.world, "CUSTOMER.DISPUTE.UPDATED", "dispute", shown(dispute))
    return _done(call, dispute)


def adjudicate(call: Call) -> Answer:
    """Decide it, as PayPal's own sandbox allows to."""
    outcome = str(body_of(call).get("adjudication_outcome"))
    if outcome not in _OUTCOMES:
        description = "BUYER_FAVOR or SELLER_FAVOR"
        raise malformed(call, "adjudication_outcome", "INVALID_PARAMETER_VALUE", description)
    dispute = _open(call)
    _resolve(call.world, dispute, _OUTCOMES[outcome], wins=outcome == "SELLER_FAVOR")
    return _done(call, dispute)
