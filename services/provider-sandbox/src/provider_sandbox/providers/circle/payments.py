"""Circle's payment intents (an address that is assigned later), payments and refunds."""

from provider_sandbox.core.clock import iso_milliseconds
from provider_sandbox.core.provider import Answer, Call, Refused
from provider_sandbox.core.store import Document
from provider_sandbox.core.world import World
from provider_sandbox.providers.circle import wallets
from provider_sandbox.providers.circle.events import client_of, happened
from provider_sandbox.providers.circle.wire import (
    CHAINS,
    CURRENCIES,
    MASTER,
    chain_address,
    chain_hash,
    error,
    find,
    invalid,
    keep,
    key_of,
    make,
    minor_of,
    money_of,
    named,
    ok,
)

ADDRESS_AFTER_S = 3
PAID_AFTER_S = 20
EXPIRES_AFTER_S = 8 * 3600


def fee_of(minor: int) -> int:
    """One per cent, rounded half up."""
    return (minor + 50) // 100


def create(call: Call) -> Answer:
    """An intent; its address comes by notification, or is there when it is read again."""
    body, world = call.params, call.world
    methods = body.get("paymentMethods")
    if not isinstance(methods, list) or len(methods) != 1:
        raise invalid(call, "paymentMethods", "must have one entry")
    method = named(call, methods[0], "paymentMethods[0]", "type", "chain")
    if method["type"] != "blockchain" or method["chain"] not in CHAINS:
        raise invalid(call, "paymentMethods[0].chain", "is not supported")
    continuous = body.get("type") == "continuous"
    settlement = body.get("settlementCurrency")
    if settlement not in CURRENCIES:
        raise invalid(call, "settlementCurrency", f"must be one of {', '.join(CURRENCIES)}")
    if continuous:
        minor, currency = 0, body.get("currency")
        if currency not in CURRENCIES:
            raise invalid(call, "currency", f"must be one of {', '.join(CURRENCIES)}")
    else:
        minor, currency = minor_of(call, body.get("amount"))
    expires = world.now() + EXPIRES_AFTER_S
    intent = make(
        world,
        "intent",
        amount=None if continuous else money_of(minor, currency),
        currency=currency if continuous else None,
        amountPaid=money_of(0, currency),
        amountRefunded=money_of(0, currency),
        settlementCurrency=settlement,
        paymentMethods=[{"type": "blockchain", "chain": method["chain"]}],
        fees=[{"type": "totalPaymentFees", **money_of(0, currency)}],
        paymentIds=[],
        refundIds=[],
        timeline=[],
        type="continuous" if continuous else None,
        merchantWalletId=body.get("merchantWalletId", MASTER),
        expiresOn=None if continuous else iso_milliseconds(expires),
        _minor=minor,
        _currency=currency,
        _paid=0,
        _refunded=0,
        _continuous=continuous,
        _reference=key_of(call),
    )
    _reach(world, intent, "created")
    happened(world, "paymentIntents", intent)
    world.later(ADDRESS_AFTER_S, "circle.address_assigned", {"id": intent["id"]})
    if not continuous:
        world.later(EXPIRES_AFTER_S, "circle.intent_expires", {"id": intent["id"]})
    return ok(call, intent, 201)


def status_of(intent: Document) -> str:
    """The newest status of the timeline."""
    return str(intent["timeline"][0]["status"])


def _reach(world: World, intent: Document, status: str, context: str = "") -> None:
    step = {"status": status, "time": iso_milliseconds(world.now())}
    if context:
        step["context"] = context
    intent["timeline"] = [step, *intent["timeline"]]
    keep(world, intent)


def address_assigned(world: World, argument: Document) -> None:
    """The intent gets the address that the payer is to pay to."""
    intent = world.store.get("circle intent", argument["id"])
    if status_of(intent) != "created":
        return
    address = chain_address(world)
    intent["paymentMethods"][0]["address"] = address
    world.store.put("circle by address", address, {"intent": intent["id"]})
    _reach(world, intent, "active" if intent["_continuous"] else "pending")
    happened(world, "paymentIntents", intent)


def intent_expires(world: World, argument: Document) -> None:
    """Nobody paid, or not enough."""
    intent = world.store.get("circle intent", argument["id"])
    if status_of(intent) in {"created", "pending"}:
        _reach(world, intent, "expired", "underpaid" if intent["_paid"] else "")
        happened(world, "paymentIntents", intent)


def expire(call: Call) -> Answer:
    intent = find(call, "intent")
    if status_of(intent) not in {"created", "pending", "active"}:
        raise Refused(error(call, 400, 2, f"The intent is {status_of(intent)} already."))
    _reach(call.world, intent, "expired", "underpaid" if intent["_paid"] else "")
    happened(call.world, "paymentIntents", intent)
    return ok(call, intent, 201)


def deposit(world: World, wanted: Document) -> Document:
    """Somebody pays on a chain: `address`, `amount` in cents, and maybe `currency`."""
    place = world.store.find("circle by address", str(wanted["address"]))
    minor = int(wanted["amount"])
    if place is None or minor <= 0:
        raise ValueError("nobody waits at this address, or the amount is not positive")
    currency = str(wanted.get("currency", "USD"))
    if "wallet" in place:
        return _wallet_deposit(world, place["wallet"], str(wanted["address"]), minor, currency)
    intent = world.store.get("circle intent", place["intent"])
    payment = make(
        world,
        "payment",
        type="payment",
        merchantId=client_of(world),
        merchantWalletId=intent["merchantWalletId"],
        amount=money_of(minor, currency),
        status="pending",
        paymentIntentId=intent["id"],
        depositAddress={
            "chain": intent["paymentMethods"][0]["chain"],
            "address": str(wanted["address"]),
        },
        fromAddresses={
            "chain": intent["paymentMethods"][0]["chain"],
            "addresses": [chain_address(world)],
        },
        transactionHash=chain_hash(world),
        _minor=minor,
        _currency=currency,
        _reference=intent["_reference"],
    )
    happened(world, "payments", payment)
    world.later(PAID_AFTER_S, "circle.payment_paid", {"id": payment["id"]})
    return payment


def _wallet_deposit(world: World, wallet: str, address: str, minor: int, currency: str) -> Document:
    made = make(
        world,
        "transfer",
        source={"type": "blockchain", "chain": "ETH"},
        destination={"type": "wallet", "id": wallet, "address": address},
        amount=money_of(minor, currency),
        transactionHash=chain_hash(world),
        status="complete",
        _reference="",
        _walletId=wallet,
    )
    wallets.add(world, wallet, minor, currency)
    wallets.move(world, "deposit", made, minor, currency)
    happened(world, "transfers", made)
    return made


def payment_paid(world: World, argument: Document) -> None:
    """The chain has confirmed: the money is the merchant's, less the fee."""
    payment = world.store.get("circle payment", argument["id"])
    intent = world.store.get("circle intent", payment["paymentIntentId"])
    minor, currency = payment["_minor"], payment["_currency"]
    fee = fee_of(minor)
    payment |= {
        "status": "paid",
        "fees": money_of(fee, currency),
        "settlementAmount": money_of(minor - fee, currency),
    }
    keep(world, payment)
    wallets.add(world, intent["merchantWalletId"], minor - fee, currency)
    wallets.move(world, "payment", payment, minor, currency, fee=fee)
    about = {
        "payment": intent["id"],
        "object": payment["id"],
        "reference": payment["_reference"],
        "amount_minor": minor,
        "currency": currency,
    }
    world.state_fact("circle", "captured", about)
    intent["_paid"] += minor
    intent["amountPaid"] = money_of(intent["_paid"], currency)
    intent["paymentIds"] = [*intent["paymentIds"], payment["id"]]
    if status_of(intent) == "pending" and intent["_paid"] >= intent["_minor"]:
        exact = intent["_paid"] == intent["_minor"]
        _reach(world, intent, "complete", "paid" if exact else "overpaid")
    keep(world, intent)
    happened(world, "payments", payment)
    happened(world, "paymentIntents", intent)


def refund(call: Call) -> Answer:
    """Give back to an address, never above what was paid."""
    intent, world = find(call, "intent"), call.world
    minor, currency = minor_of(call, call.params.get("toAmount"), "toAmount")
    target = named(call, call.params.get("destination"), "destination", "address", "chain")
    left = intent["_paid"] - intent["_refunded"]
    if status_of(intent) in {"created", "pending"}:
        raise Refused(error(call, 400, 2, "The intent is not finished yet."))
    if minor > left:
        message = f"The refund is above what is left of the payment ({money_of(left, currency)})."
        raise Refused(error(call, 400, 2, message))
    if wallets.balance_of(world, intent["merchantWalletId"], currency) < minor:
        raise Refused(error(call, 400, 2, "The wallet has insufficient funds."))
    made = make(
        world,
        "payment",
        type="refund",
        merchantId=client_of(world),
        merchantWalletId=intent["merchantWalletId"],
        amount=money_of(minor, currency),
        status="pending",
        paymentIntentId=intent["id"],
        depositAddress={"chain": target["chain"], "address": target["address"]},
        _minor=minor,
        _currency=currency,
        _reference=intent["_reference"],
        _fails=call.decision.declined,
    )
    intent["_refunded"] += minor
    intent["refundIds"] = [*intent["refundIds"], made["id"]]
    keep(world, intent)
    wallets.add(world, intent["merchantWalletId"], -minor, currency)
    world.later(PAID_AFTER_S, "circle.refund_done", {"id": made["id"]})
    happened(world, "payments", made)
    return ok(call, made, 201)


def refund_done(world: World, argument: Document) -> None:
    """The refund arrives, or the money comes back to the wallet."""
    made = world.store.get("circle payment", argument["id"])
    intent = world.store.get("circle intent", made["paymentIntentId"])
    minor, currency = made["_minor"], made["_currency"]
    if made["_fails"]:
        made["status"] = "failed"
        intent["_refunded"] -= minor
        wallets.add(world, intent["merchantWalletId"], minor, currency)
    else:
        made |= {"status": "paid", "transactionHash": chain_hash(world)}
        wallets.move(world, "refund", made, -minor, currency)
        about = {
            "payment": intent["id"],
            "object": made["id"],
            "reference": made["_reference"],
            "amount_minor": minor,
            "currency": currency,
        }
        world.state_fact("circle", "refunded", about)
        intent["amountRefunded"] = money_of(intent["_refunded"], currency)
        if intent["_refunded"] == intent["_paid"]:
            _reach(world, intent, "refunded")
    keep(world, made)
    keep(world, intent)
    happened(world, "payments", made)


def read_intent(call: Call) -> Answer:
    return ok(call, find(call, "intent"))


def read_payment(call: Call) -> Answer:
    return ok(call, find(call, "payment"))
