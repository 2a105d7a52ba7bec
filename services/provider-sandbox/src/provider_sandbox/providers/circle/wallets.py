"""Circle's wallets, their addresses, and transfers between them and to chains."""

from provider_sandbox.core.provider import Answer, Call
from provider_sandbox.core.statements import Line, book
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.circle.events import client_of, happened
from provider_sandbox.providers.circle.wire import (
    CHAINS,
    MASTER,
    chain_address,
    chain_hash,
    find,
    headers_of,
    invalid,
    keep,
    key_of,
    make,
    minor_of,
    money_of,
    named,
    not_found,
    ok,
    view,
)

SETTLED_AFTER_S = 15


def wallet_of(world: World, key: str) -> Document | None:
    """A wallet; the merchant's own is always there."""
    found = world.store.find("circle wallet", key)
    if found is None and key == MASTER:
        found = _new(world, MASTER, "merchant", "Master Wallet")
    return found


def _new(world: World, key: str, kind: str, description: str | None) -> Document:
    wallet: Document = {
        "id": key,
        "walletId": key,
        "entityId": client_of(world),
        "type": kind,
        "description": description,
        "_balances": {},
        "_kind": "wallet",
        "_at": world.now(),
        "updateDate": "",
    }
    return keep(world, wallet)


def shape(wallet: Document) -> Document:
    """A wallet as clients see it."""
    held = wallet["_balances"]
    balances = [money_of(minor, currency) for currency, minor in sorted(held.items())]
    seen = view(wallet) | {"balances": balances}
    return {name: value for name, value in seen.items() if name not in {"id", "updateDate"}}


def add(world: World, key: str, minor: int, currency: str) -> None:
    """Change a wallet's balance; below zero it never goes."""
    wallet = wallet_of(world, key)
    assert wallet is not None
    held = wallet["_balances"].get(currency, 0) + minor
    assert held >= 0, "a wallet was overdrawn"
    wallet["_balances"][currency] = held
    keep(world, wallet)


def balance_of(world: World, key: str, currency: str) -> int:
    """What a wallet holds."""
    wallet = wallet_of(world, key)
    return wallet["_balances"].get(currency, 0) if wallet else 0


def move(
    world: World, kind: str, source: Document, gross: int, currency: str, *, fee: int = 0
) -> None:
    """A line of the statement."""
    place = f"{source['id']}:{kind}"
    line = Line(
        id=place,
        at=world.now(),
        available_at=world.now(),
        kind=kind,
        source=source["id"],
        reference=source["_reference"],
        gross_minor=gross,
        fee_minor=fee,
        currency=currency,
    )
    book(world, "circle", line)


def fact(world: World, kind: str, source: Document, minor: int, currency: str) -> None:
    """What really happened. Circle keeps no reference of ours but the idempotency key."""
    about = {
        "payment": source["id"],
        "object": source["id"],
        "reference": source["_reference"],
        "amount_minor": minor,
        "currency": currency,
    }
    world.state_fact("circle", kind, about)


def create(call: Call) -> Answer:
    number = int(call.world.draw("circle wallet number").number)
    key = str(int(MASTER) + number)
    description = call.params.get("description")
    wallet = _new(call.world, key, "end_user_wallet", description)
    return Answer(201, {"data": shape(wallet)}, headers_of(call))


def read(call: Call) -> Answer:
    wallet = wallet_of(call.world, call.ids["id"])
    if wallet is None:
        raise not_found(call, "wallet")
    return Answer(200, {"data": shape(wallet)}, headers_of(call))


def list_all(call: Call) -> Answer:
    wallet_of(call.world, MASTER)
    found = [shape(wallet) for wallet in call.world.store.all("circle wallet")]
    return Answer(200, {"data": found}, headers_of(call))


def add_address(call: Call) -> Answer:
    """An address by which a wallet is filled from a chain; one a chain."""
    wallet = wallet_of(call.world, call.ids["id"])
    if wallet is None:
        raise not_found(call, "wallet")
    body = named(call, call.params, "body", "chain", "currency")
    if body["chain"] not in CHAINS:
        raise invalid(call, "chain", "is not supported")
    made = make(
        call.world,
        "address",
        address=chain_address(call.world),
        currency=body["currency"],
        chain=body["chain"],
        _walletId=wallet["id"],
    )
    call.world.store.put("circle by address", made["address"], {"wallet": wallet["id"]})
    shown = {name: made[name] for name in ("address", "currency", "chain")}
    return Answer(201, {"data": shown}, headers_of(call))


def addresses(call: Call) -> Answer:
    found = [
        {name: one[name] for name in ("address", "currency", "chain")}
        for one in call.world.store.all("circle address")
        if one["_walletId"] == call.ids["id"]
    ]
    return Answer(200, {"data": found}, headers_of(call))


def transfer(call: Call) -> Answer:
    """From a wallet to a wallet or an address; what cannot be paid fails afterwards."""
    business = call.path.startswith("/v1/businessAccount")
    source = {"type": "wallet", "id": MASTER}
    if not business:
        source = named(call, call.params.get("source"), "source", "type", "id")
    minor, currency = minor_of(call, call.params.get("amount"))
    target = _target(call)
    if wallet_of(call.world, source["id"]) is None:
        raise invalid(call, "source.id", "is not a wallet of yours")
    if target["type"] == "wallet" and wallet_of(call.world, target["id"]) is None:
        raise invalid(call, "destination.id", "is not a wallet of yours")
    held = balance_of(call.world, source["id"], currency)
    failure = "insufficient_funds" if held < minor else ""
    if call.decision.declined:
        failure = "transfer_denied"
    made = make(
        call.world,
        "transfer",
        source={"type": "wallet", "id": source["id"]},
        destination=target,
        amount=money_of(minor, currency),
        status="pending",
        _minor=minor,
        _currency=currency,
        _failure=failure,
        _reference=key_of(call),
        _walletId=source["id"],
    )
    if not failure:
        add(call.world, source["id"], -minor, currency)
    call.world.later(SETTLED_AFTER_S, "circle.transfer_done", {"id": made["id"]})
    happened(call.world, "transfers", made)
    return ok(call, made, 201)


def _target(call: Call) -> Document:
    target = named(call, call.params.get("destination"), "destination", "type")
    if target["type"] == "wallet":
        return named(call, target, "destination", "id")
    if target["type"] == "verified_blockchain":
        key = named(call, target, "destination", "addressId")["addressId"]
        known = call.world.store.find("circle recipient", key)
        if known is None:
            raise invalid(call, "destination.addressId", "is not a recipient of yours")
        return {"type": "blockchain", "address": known["address"], "chain": known["chain"]}
    if target["type"] != "blockchain":
        raise invalid(call, "destination.type", "must be wallet or blockchain")
    named(call, target, "destination", "address", "chain")
    if target["chain"] not in CHAINS:
        raise invalid(call, "destination.chain", "is not supported")
    return target


def transfer_done(world: World, argument: Document) -> None:
    """The transfer arrives, or fails and leaves the money where it was."""
    made = world.store.get("circle transfer", argument["id"])
    minor, currency = made["_minor"], made["_currency"]
    if made["_failure"]:
        made |= {"status": "failed", "errorCode": made["_failure"]}
    else:
        made["status"] = "complete"
        fact(world, "transferred", made, minor, currency)
        if made["destination"]["type"] == "wallet":
            add(world, made["destination"]["id"], minor, currency)
        else:
            made["transactionHash"] = chain_hash(world)
            move(world, "transfer", made, -minor, currency)
    keep(world, made)
    happened(world, "transfers", made)


def deposit_address(call: Call) -> Answer:
    """An address by which the business account is filled from a chain."""
    body = named(call, call.params, "body", "chain", "currency")
    address = chain_address(call.world)
    made = make(
        call.world,
        "business address",
        address=address,
        currency=body["currency"],
        chain=body["chain"],
    )
    call.world.store.put("circle by address", address, {"wallet": MASTER})
    shown = {name: made[name] for name in ("id", "address", "currency", "chain")}
    return Answer(201, {"data": shown}, headers_of(call))


def recipient(call: Call) -> Answer:
    """An address that may be paid out to."""
    body = named(call, call.params, "body", "chain", "address", "currency", "description")
    fields = {name: body[name] for name in ("chain", "address", "currency", "description")}
    made = make(call.world, "recipient", **fields, status="active")
    return ok(call, made, 200)


def read_transfer(call: Call) -> Answer:
    return ok(call, find(call, "transfer"))
