"""Circle Mint: bank accounts, deposits that mint, payouts that redeem, balances, settlements."""

from provider_sandbox.core.clock import iso_milliseconds
from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.statements import Line, stated
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.circle import wallets
from provider_sandbox.providers.circle.events import happened
from provider_sandbox.providers.circle.wire import (
    MASTER,
    find,
    headers_of,
    invalid,
    keep,
    key_of,
    make,
    minor_of,
    money_of,
    named,
    ok,
    view,
)

BANK_AFTER_S = 60
MINTED_AFTER_S = 300
REDEEMED_AFTER_S = 86_400
CHAIN_AFTER_S = 30
_DAY = 86_400


def balances(call: Call) -> Answer:
    wallet = wallets.wallet_of(call.world, MASTER)
    held = wallet["_balances"] if wallet else {}
    available = [money_of(minor, currency) for currency, minor in sorted(held.items())]
    unsettled = [
        money_of(one["_minor"], one["_currency"])
        for one in call.world.store.all("circle deposit")
        if one["status"] == "pending"
    ]
    body = {"available": available, "unsettled": unsettled}
    return Answer(200, {"data": body}, headers_of(call))


def create_wire(call: Call) -> Answer:
    """A bank account; it is checked for a minute."""
    body, world = call.params, call.world
    number = body.get("accountNumber") or body.get("iban")
    if not isinstance(number, str) or len(number) < 4:
        raise invalid(call, "accountNumber", "must not be empty")
    billing = named(call, body.get("billingDetails"), "billingDetails", "name", "country")
    bank = body.get("bankAddress")
    if not isinstance(bank, dict) or not bank.get("country"):
        raise invalid(call, "bankAddress.country", "must not be empty")
    draw = world.draw("circle bank")
    wire = make(
        world,
        "wire",
        status="pending",
        description=f"{bank.get('bankName', 'BANK')} ****{number[-4:]}",
        trackingRef=f"CIR{draw.token(10, '0123456789ABCDEFGHJKLMNPQRSTUVWXYZ')}",
        fingerprint=draw.uuid(),
        billingDetails=billing,
        bankAddress=bank,
    )
    world.later(BANK_AFTER_S, "circle.bank_checked", {"id": wire["id"]})
    return ok(call, wire, 201)


def bank_checked(world: World, argument: Document) -> None:
    """The bank account may be used."""
    wire = world.store.get("circle wire", argument["id"])
    wire["status"] = "complete"
    keep(world, wire)
    happened(world, "wire", wire)


def instructions(call: Call) -> Answer:
    wire = find(call, "wire")
    body = {
        "trackingRef": wire["trackingRef"],
        "beneficiary": {"name": "Provider sandbox", "address1": "1 Main Street", "address2": ""},
        "beneficiaryBank": {
            "name": "Sandbox Bank",
            "swiftCode": "SBXBUS33",
            "routingNumber": "999999999",
            "accountNumber": "1000000001",
            "currency": "USD",
            "address": "1 Main Street",
            "city": "Anytown",
            "postalCode": "00000",
            "country": "US",
        },
    }
    return Answer(200, {"data": body}, headers_of(call))


def mock_wire(call: Call) -> Answer:
    """Somebody wires money: it is minted into the master wallet after a while."""
    tracking = named(call, call.params, "body", "trackingRef")["trackingRef"]
    minor, currency = minor_of(call, call.params.get("amount"))
    if not any(one["trackingRef"] == tracking for one in call.world.store.all("circle wire")):
        raise invalid(call, "trackingRef", "belongs to no bank account")
    made = make(
        call.world,
        "deposit",
        destination={"type": "wallet", "id": MASTER},
        amount=money_of(minor, currency),
        status="pending",
        type=None,
        _type="wire",
        _minor=minor,
        _currency=currency,
        _reference=tracking,
    )
    call.world.later(MINTED_AFTER_S, "circle.minted", {"id": made["id"]})
    body = {"trackingRef": tracking, "amount": money_of(minor, currency), "status": "pending"}
    return Answer(201, {"data": body}, headers_of(call))


def minted(world: World, argument: Document) -> None:
    """The wire has arrived; tokens of the same amount come into being."""
    made = world.store.get("circle deposit", argument["id"])
    made["status"] = "complete"
    keep(world, made)
    wallets.add(world, MASTER, made["_minor"], made["_currency"])
    wallets.move(world, "mint", made, made["_minor"], made["_currency"])
    wallets.fact(world, "minted", made, made["_minor"], made["_currency"])
    happened(world, "deposits", made)


def create_recipient(call: Call) -> Answer:
    """A recipient of the address book; active after a while."""
    body = named(call, call.params, "body", "chain", "address")
    made = make(
        call.world,
        "book",
        chain=body["chain"],
        address=body["address"],
        metadata=body.get("metadata", {}),
        status="active",
    )
    return ok(call, made, 201)


def create_payout(call: Call) -> Answer:
    """Redeem to a bank account, or pay out to a recipient of the address book."""
    business = call.path.startswith("/v1/businessAccount")
    world = call.world
    target = named(call, call.params.get("destination"), "destination", "type", "id")
    kind = "wire" if business else "book"
    known = world.store.find(f"circle {kind}", target["id"])
    if known is None or (business and known["status"] != "complete"):
        raise invalid(call, "destination.id", "cannot be paid out to")
    minor, currency = minor_of(call, call.params.get("amount"))
    source = MASTER
    if not business and isinstance(call.params.get("source"), dict):
        source = named(call, call.params["source"], "source", "id")["id"]
    failure = ""
    if wallets.balance_of(world, source, currency) < minor:
        failure = "insufficient_funds"
    elif call.decision.declined:
        failure = "transaction_denied"
    made = make(
        world,
        "business payout" if business else "payout",
        sourceWalletId=source,
        destination={"type": target["type"], "id": target["id"]},
        amount=money_of(minor, currency),
        status="pending",
        trackingRef=known.get("trackingRef"),
        _minor=minor,
        _currency=currency,
        _failure=failure,
        _reference=key_of(call),
    )
    if not failure:
        wallets.add(world, source, -minor, currency)
    wait = REDEEMED_AFTER_S if business else CHAIN_AFTER_S
    world.later(wait, "circle.payout_done", {"kind": made["_kind"], "id": made["id"]})
    happened(world, "payouts", made)
    return ok(call, made, 201)


def payout_done(world: World, argument: Document) -> None:
    """The payout arrives, or fails and leaves the money where it was."""
    made = world.store.get(f"circle {argument['kind']}", argument["id"])
    if made["_failure"]:
        made |= {"status": "failed", "errorCode": made["_failure"]}
    else:
        made |= {"status": "complete", "fees": money_of(0, made["_currency"])}
        kind = "redeem" if argument["kind"] == "business payout" else "payout"
        wallets.move(world, kind, made, -made["_minor"], made["_currency"])
        wallets.fact(world, "paid_out", made, made["_minor"], made["_currency"])
    keep(world, made)
    happened(world, "payouts", made)


def settlements(call: Call) -> Answer:
    """One settlement a day: what came, what went, what it cost; from the statement as told."""
    days: dict[int, list[Line]] = {}
    for line in stated(call.world, "circle", 0, call.world.now() + 1):
        days.setdefault(int(line.at // _DAY), []).append(line)
    found = [_settlement(call.world, day, told) for day, told in sorted(days.items())]
    return Answer(200, {"data": [view(one) for one in found[::-1]]}, headers_of(call))


def _settlement(world: World, day: int, told: list[Line]) -> Document:
    key = f"settlement {day}"
    saved = world.store.find("circle day", key)
    if saved is None:
        saved = {"id": world.draw("circle settlement").uuid()}
        world.store.put("circle day", key, saved)
    return {
        "id": saved["id"],
        "merchantWalletId": MASTER,
        "walletId": MASTER,
        "totalDebits": money_of(-sum(min(0, line.gross_minor) for line in told)),
        "totalCredits": money_of(sum(max(0, line.gross_minor) for line in told)),
        "paymentFees": money_of(sum(line.fee_minor for line in told)),
        "chargebackFees": money_of(0),
        "createDate": iso_milliseconds((day + 1) * _DAY),
        "updateDate": iso_milliseconds((day + 1) * _DAY),
    }
