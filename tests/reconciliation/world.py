"""Two sides of the same movements, with breaks planted whose class is known."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from reserve_ledger.domain.reconciling import BreakClass, Item, Rules

CUT_OFF = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RULES = Rules(sla=timedelta(hours=1), window=timedelta(minutes=5))
OLD = timedelta(days=2)
Planted = set[tuple[BreakClass, str | None, str | None]]


@dataclass(slots=True)
class World:
    """What both sides list, and what is wrong with it."""

    external: list[Item]
    ledger: list[Item]
    planted: Planted


def world(seed: int, size: int = 12) -> World:
    """A reconciliation of about `size` movements, a third of them broken in some way."""
    dice = random.Random(seed)
    made = World([], [], set())
    for number in range(dice.randint(1, size)):
        if dice.random() < 0.12:
            _payout(made, dice, number)
            continue
        item = _movement(dice, number)
        dice.choice(PLANTINGS if dice.random() < 0.35 else AGREEING)(made, dice, item)
    dice.shuffle(made.external)
    dice.shuffle(made.ledger)
    return made


def _movement(dice: random.Random, number: int) -> Item:
    """Amounts are unlike each other, so that which break is which can be said beforehand."""
    return Item(
        key=f"m{number}",
        reference=f"ref-{number}",
        amount_minor=(number + 1) * 1_000_000 + dice.randint(1, 999_000),
        at=CUT_OFF - OLD - timedelta(minutes=30 * number),
        memo=dice.choice([None, f"memo-{number}"]),
        status="captured",
        account="1300",
    )


def _both(made: World, dice: random.Random, item: Item) -> None:
    late = timedelta(seconds=dice.randint(-200, 200))
    made.external.append(item)
    made.ledger.append(replace(item, at=item.at + late))


def _by_memo(made: World, dice: random.Random, item: Item) -> None:
    memo = f"memo-{item.key}"
    made.external.append(replace(item, memo=memo, reference=f"theirs-{item.key}"))
    made.ledger.append(replace(item, memo=memo, at=item.at + timedelta(hours=dice.randint(0, 9))))


def _by_window(made: World, dice: random.Random, item: Item) -> None:
    late = timedelta(seconds=dice.randint(-290, 290))
    made.external.append(replace(item, memo=None))
    made.ledger.append(replace(item, reference=None, memo=None, at=item.at + late))


def _payout(made: World, dice: random.Random, number: int) -> None:
    parts = [
        Item(
            key=f"p{number}-{part}",
            reference=f"part-{number}-{part}",
            amount_minor=(number + 1) * 1_000_000 + part * 7_001 + dice.randint(1, 5_000),
            at=CUT_OFF - OLD,
            group=f"payout-{number}",
            account="1300",
        )
        for part in range(dice.randint(2, 5))
    ]
    whole = replace(
        parts[0],
        key=f"p{number}",
        reference=f"payout-{number}",
        amount_minor=sum(part.amount_minor for part in parts),
    )
    one, many = (
        [made.external, made.ledger] if dice.random() < 0.5 else [made.ledger, made.external]
    )
    one.append(whole)
    many.extend(parts)


def _amount(made: World, dice: random.Random, item: Item) -> None:
    made.external.append(item)
    made.ledger.append(replace(item, amount_minor=item.amount_minor + dice.choice([-1, 1, 77])))
    made.planted.add((BreakClass.AMOUNT, item.key, item.key))


def _only_there(made: World, dice: random.Random, item: Item) -> None:
    made.external.append(item)
    made.planted.add((BreakClass.MISSING_IN_LEDGER, item.key, None))


def _only_here(made: World, dice: random.Random, item: Item) -> None:
    made.ledger.append(item)
    made.planted.add((BreakClass.MISSING_EXTERNALLY, None, item.key))


def _young(made: World, dice: random.Random, item: Item) -> None:
    young = replace(item, at=CUT_OFF - timedelta(minutes=dice.randint(0, 59)))
    if dice.random() < 0.5:
        made.external.append(young)
        made.planted.add((BreakClass.TIMING, item.key, None))
    else:
        made.ledger.append(young)
        made.planted.add((BreakClass.TIMING, None, item.key))


def _twice(made: World, dice: random.Random, item: Item) -> None:
    again = replace(item, key=f"{item.key}-again", at=item.at + timedelta(seconds=1))
    _both(made, random.Random(0), item)
    if dice.random() < 0.5:
        made.external.append(again)
        made.planted.add((BreakClass.DUPLICATE, again.key, None))
    else:
        made.ledger.append(replace(again, at=item.at + timedelta(seconds=400)))
        made.planted.add((BreakClass.DUPLICATE, None, again.key))


def _elsewhere(made: World, dice: random.Random, item: Item) -> None:
    made.external.append(item)
    reference = item.reference
    if dice.random() < 0.5:
        item = replace(item, memo="m-" + item.key)
        made.external[-1] = replace(item, reference=f"theirs-{item.key}")
    made.ledger.append(replace(item, account="1100", reference=reference, elsewhere=True))
    made.planted.add((BreakClass.MISDIRECTED, item.key, item.key))


def _status(made: World, dice: random.Random, item: Item) -> None:
    made.external.append(replace(item, status=dice.choice(["refunded", "disputed"])))
    made.ledger.append(item)
    made.planted.add((BreakClass.STATUS, item.key, item.key))


def _not_ours(made: World, dice: random.Random, item: Item) -> None:
    """Something of another account that is no business of this source."""
    made.ledger.append(replace(item, account="1100", elsewhere=True))


AGREEING = (_both, _both, _both, _by_memo, _by_window, _not_ours)
PLANTINGS = (_amount, _only_there, _only_here, _young, _twice, _elsewhere, _status)
