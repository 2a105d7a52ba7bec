"""Dead letters as operators meet them: found, looked at, handled again or set aside for good."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from messaging import dead_letters
from messaging.operations import journal
from messaging.operations.journal import Act
from messaging.transaction import Tx

OPEN = ("dead", "parked", "replaying")
STATES = (*OPEN, "resolved", "discarded")
WAITING_SHOWN = 100
"""Letters behind one that are listed; all are counted."""
_MATCHES = """
    ($1::uuid[] is null or l.id = any($1)) and ($2::text is null or l.type = $2)
    and ($3::uuid is null or l.tenant_id = $3) and ($4::text is null or l.reason = $4)
    and ($5::text is null or l.consumer = $5) and l.state = any($6::text[])
    and ($7::interval is null or l.created_at < clock_timestamp() - $7)
    and ($8::bytea is null or l.record_key = $8)
"""
_SHOWN = """
    l.id, l.tenant_id, l.consumer, l.topic, l.partition, l.record_offset, l.record_key, l.event_id,
    l.type, l.state, l.reason, l.error, l.attempts, l.created_at, l.resolved_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which letters are meant; what is None does not matter."""

    ids: Sequence[UUID] | None = None
    type: str | None = None
    tenant_id: UUID | None = None
    cause: str | None = None
    """The reason it was put aside: envelope, contract, handler or behind."""
    consumer: str | None = None
    states: Sequence[str] = OPEN
    age: timedelta | None = None
    """At least so old."""
    key: str | None = None
    """The record's key, which is the public id of its aggregate."""

    @property
    def arguments(self) -> list[Any]:
        """Parameters of the condition, `$1` and on."""
        ids = None if self.ids is None else list(self.ids)
        key = None if self.key is None else self.key.encode()
        states = list(self.states)
        return [ids, self.type, self.tenant_id, self.cause, self.consumer, states, self.age, key]

    def __str__(self) -> str:
        """What was asked for, as the journal keeps it."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "states"}
        chosen = {name: value for name, value in said.items() if value is not None}
        ids = chosen.pop("ids", ())
        return " ".join([*map(str, ids), *(f"{name}={value}" for name, value in chosen.items())])[
            :2000
        ]


async def find(
    tx: Tx, wanted: LetterFilter, *, after: UUID | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Letters that match, oldest first, without their payload."""
    rows = await tx.fetch(
        f"""
        select {_SHOWN} from dead_letter l
        where {_MATCHES} and ($9::uuid is null or l.id > $9) order by l.id limit $10
        """,
        *wanted.arguments,
        after,
        limit,
    )
    return [_plain(row) for row in rows]


async def show(tx: Tx, letter_id: UUID) -> dict[str, Any] | None:
    """One letter with headers and payload, and what waits behind it; None where there is none."""
    row = await tx.fetchrow(
        f"select {_SHOWN}, l.headers, l.payload from dead_letter l where l.id = $1", letter_id
    )
    if row is None:
        return None
    waiting = await tx.fetch(
        f"""
        select {_SHOWN}, count(*) over () as all_of_them from dead_letter l
        where consumer = $1 and topic = $2 and record_key = $3 and record_offset > $4
          and state = any($5::text[])
        order by record_offset limit $6
        """,
        row["consumer"],
        row["topic"],
        row["record_key"],
        row["record_offset"],
        list(OPEN),
        WAITING_SHOWN,
    )
    behind = [_plain(letter) for letter in waiting]
    count = waiting[0]["all_of_them"] if waiting else 0
    for letter in behind:
        del letter["all_of_them"]
    return {**_plain(row), "behind": behind, "behind_count": count}


def _plain(row: Any) -> dict[str, Any]:
    """A row whose bytes are text, as far as they are."""
    found = dict(row)
    for name in ("record_key", "payload"):
        value = found.get(name)
        if value is not None:
            found[name] = value.decode("utf-8", "replace")
    return found


async def replay(tx: Tx, wanted: LetterFilter, act: Act) -> int:
    """Let every letter of the keys that match be handled again, in order; how many.

    Event ids stay as they are, so that whatever follows is deduplicated as it always was.
    """
    matching = await tx.fetch(
        f"select l.id from dead_letter l where {_MATCHES} and l.state in ('dead', 'parked')",
        *wanted.arguments,
    )
    ids = [row["id"] for row in matching]
    released = await dead_letters.release(tx, ids)
    if released:
        details = {"letters": [str(letter) for letter in ids[:1000]]}
        await journal.write(
            tx,
            act,
            "dead_letters.replay",
            subject=str(wanted) or "everything open",
            count=released,
            details=details,
        )
    return released


async def discard(tx: Tx, letter_id: UUID, act: Act, *, whole_key: bool = False) -> tuple[int, int]:
    """Set a letter aside for good, with all that waits behind it by key if wished.

    The letter is kept. Its event stays marked in the inbox, so that a second copy of it is no more
    handled than it was. What waited behind it is handled in its order, up to the next culprit.
    Answers how many were discarded and how many released; (0, 0) where it is not open.
    """
    gone = await tx.fetch(
        """
        update dead_letter l set state = 'discarded', resolved_at = now()
        from dead_letter d
        where d.id = $1 and d.state in ('dead', 'parked', 'replaying')
          and l.state in ('dead', 'parked', 'replaying')
          and (l.id = d.id or $2 and l.consumer = d.consumer and l.topic = d.topic
               and l.record_key = d.record_key and l.record_offset > d.record_offset)
        returning l.id, l.tenant_id, l.event_id, l.type
        """,
        letter_id,
        whole_key,
    )
    if not gone:
        return 0, 0
    released = await _release_behind(tx, letter_id)
    details = {
        "released": released,
        "letters": [
            {name: None if value is None else str(value) for name, value in row.items()}
            for row in gone[:1000]
        ],
    }
    await journal.write(
        tx, act, "dead_letters.discard", subject=str(letter_id), count=len(gone), details=details
    )
    return len(gone), released


async def _release_behind(tx: Tx, letter_id: UUID) -> int:
    """Release what is parked on the key of a letter and has no culprit before it any more."""
    tag = await tx.execute(
        """
        update dead_letter l set state = 'replaying' from dead_letter d
        where d.id = $1 and l.consumer = d.consumer and l.topic = d.topic
          and l.record_key = d.record_key and l.state = 'parked' and not exists (
            select from dead_letter c where c.consumer = l.consumer and c.topic = l.topic
              and c.record_key = l.record_key and c.state = 'dead'
              and c.record_offset < l.record_offset)
        """,
        letter_id,
    )
    return int(tag.split()[-1])
