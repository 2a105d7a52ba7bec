"""A tenant's ledger as a log of lines, and the same ledger made again from it in an empty place.

A line is what was hashed, with its hash and the one before it: whoever has the log can prove it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

GENESIS: Final = bytes(32)
AT_ONCE: Final = 500
_LENGTH_32: Final = (32).to_bytes(8, "big")
_OPTIONAL: Final = ("actor", "effective_at", "metadata", "reference")
OWN_ADDRESSES: Final[Mapping[str, str]] = {
    "1100": "bank",
    "1110": "custody",
    "1200": "treasury",
    "1210": "deposits",
    "1220": "gas",
    "1300": "provider:clearing",
    "1310": "provider:transit",
    "1900": "suspense:in",
    "2100": "merchant:available",
    "2110": "merchant:pending",
    "2200": "escrow",
    "2300": "payout",
    "2400": "refund",
    "2500": "payer",
    "2600": "tokens",
    "2900": "suspense:out",
    "4100": "fees",
    "4200": "exchange:result",
    "5100": "costs:provider",
    "5200": "costs:network",
    "5300": "costs:chargeback",
    "5400": "costs:dust",
    "5500": "costs:failover",
    "6000": "exchange:bridge",
}
"""Where an amount of a code is when no address is named; a test compares it with the chart."""
Key = tuple[str, str]


class BadLog(ValueError):
    """The log is not whole, or is not what it was."""


def export_lines(connection: psycopg.Connection[Any], tenant_id: UUID) -> Iterator[str]:
    """Every transaction of a tenant in order, one JSON object a line, read in one snapshot."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        with connection.cursor(name="log") as cursor:
            cursor.itersize = AT_ONCE * 10
            cursor.execute(_EXPORT, {"tenant": tenant_id})
            for body, metadata, previous, hashed in cursor:
                plain = {
                    name: value
                    for name, value in body.items()
                    if value is not None or name not in _OPTIONAL
                }
                if metadata is not None:
                    plain["metadata"] = json.loads(metadata)
                plain["postings"] = [
                    leg if leg[3] is not None else leg[:3] for leg in plain["postings"]
                ]
                line = {"hash": hashed, "previous_hash": previous, "transaction": plain}
                yield _canonical(line) + "\n"


_TIME: Final = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'"""
_EXPORT: Final = f"""
select json_build_object(
           'actor', t.actor, 'cause_event_id', t.cause_event_id,
           'effective_at', {_TIME.format("t.effective_at")}, 'id', t.id,
           'invoice_id', t.invoice_id, 'payment_id', t.payment_id,
           'posted_at', {_TIME.format("t.posted_at")}, 'postings', p.legs,
           'reference', t.reference, 'reverses', t.reverses, 'sequence', t.sequence,
           'template', t.template || '.v' || t.template_version, 'tenant_id', t.tenant_id),
       t.metadata::text, encode(t.previous_hash, 'hex'), encode(t.hash, 'hex')
from reserve_ledger.ledger_transaction t
cross join lateral (
    select json_agg(json_build_array(account, asset, amount_minor, address) order by line) as legs
    from reserve_ledger.posting where tenant_id = t.tenant_id and sequence = t.sequence) p
where t.tenant_id = %(tenant)s order by t.sequence
"""


@dataclass(slots=True)
class _Book:
    """What the log has come to."""

    addresses: Mapping[str, str]
    tenant_id: str = ""
    sequence: int = 0
    hash: bytes = GENESIS
    posted_at: str = ""
    codes: dict[Key, list[int]] = field(default_factory=dict)
    """Debits and credits by code and asset."""
    places: dict[Key, list[int]] = field(default_factory=dict)
    """The same by address and asset."""
    code_of: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> tuple[list[Any], list[list[Any]]]:
        """Prove a line and go on by it; the row of the transaction, and those of its postings."""
        try:
            told = json.loads(line)
            one, hashed = told["transaction"], bytes.fromhex(told["hash"])
        except (ValueError, KeyError, TypeError) as error:
            message = f"line {self.sequence + 1} cannot be read"
            raise BadLog(message) from error
        body = _canonical(one).encode()
        made = hashlib.sha256(_LENGTH_32 + self.hash + len(body).to_bytes(8, "big") + body)
        self.tenant_id = self.tenant_id or one["tenant_id"]
        follows = (one["sequence"], one["tenant_id"]) == (self.sequence + 1, self.tenant_id)
        if not follows or made.digest() != hashed:
            message = f"transaction {self.sequence + 1} is not what was hashed"
            raise BadLog(message)
        previous, self.hash = self.hash, hashed
        self.sequence, self.posted_at = one["sequence"], one["posted_at"]
        name, _, version = one["template"].rpartition(".v")
        metadata = _canonical(one["metadata"]) if "metadata" in one else None
        row = [
            *(one["tenant_id"], one["id"], one["sequence"], name, int(version)),
            *(one["cause_event_id"], one["invoice_id"], one["payment_id"], one["reverses"]),
            *(one["posted_at"], previous, hashed, one.get("reference")),
            *(one.get("effective_at"), metadata, one.get("actor")),
        ]
        return row, [self._posting(one, place, leg) for place, leg in enumerate(one["postings"], 1)]

    def _posting(self, one: Mapping[str, Any], place: int, leg: list[Any]) -> list[Any]:
        code, asset, minor = leg[:3]
        address = leg[3] if len(leg) > 3 else None
        named = address or self.addresses[code]
        self.code_of[named] = code
        after = _add(self.codes, (code, asset), minor)
        there = _add(self.places, (named, asset), minor)
        return [
            *(one["tenant_id"], one["id"], one["sequence"], place, code, asset, minor, after),
            *(address, there),
        ]


def _add(sums: dict[Key, list[int]], key: Key, minor: int) -> int:
    pair = sums.setdefault(key, [0, 0])
    pair[minor < 0] += abs(minor)
    return pair[0] - pair[1]


def import_lines(
    connection: psycopg.Connection[Any], lines: Iterable[str], addresses: Mapping[str, str]
) -> tuple[str, int, str]:
    """Make the ledger again; its tenant, last sequence and hash.

    In one transaction, only where the tenant has no ledger yet. `addresses` are the own addresses
    of the codes. Raises `BadLog` for the first line that is not what was hashed.
    """
    book = _Book(addresses)
    with connection.transaction():
        waiting: list[tuple[list[Any], list[list[Any]]]] = []
        for line in lines:
            waiting.append(book.take(line))
            if len(waiting) == 1 and book.sequence == 1:
                _refuse_unless_empty(connection, book.tenant_id)
            if len(waiting) >= AT_ONCE:
                _enter(connection, waiting)
                waiting = []
        if waiting:
            _enter(connection, waiting)
        if book.sequence:
            _close(connection, book)
    return book.tenant_id, book.sequence, book.hash.hex()


def _refuse_unless_empty(connection: psycopg.Connection[Any], tenant_id: str) -> None:
    found = connection.execute(
        """
        insert into reserve_ledger.ledger_head (tenant_id) values (%s)
        on conflict (tenant_id) do update set sequence = ledger_head.sequence returning sequence
        """,
        [tenant_id],
    ).fetchone()
    if found is None or found[0]:
        raise BadLog("this tenant has a ledger already")


def _enter(
    connection: psycopg.Connection[Any], rows: list[tuple[list[Any], list[list[Any]]]]
) -> None:
    transactions = [list(column) for column in zip(*(row for row, _ in rows), strict=True)]
    postings = [list(c) for c in zip(*(leg for _, legs in rows for leg in legs), strict=True)]
    connection.execute(_ENTER, [*transactions, *postings])


_ENTER: Final = """
with entered as (
    insert into reserve_ledger.ledger_transaction
        (tenant_id, id, sequence, template, template_version, cause_event_id, invoice_id,
         payment_id, reverses, posted_at, previous_hash, hash, reference, effective_at, metadata,
         actor)
    select a, b, c, d, e, f, g, h, i, j, k, l, m, n, o::json, p
    from unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[], %s::smallint[], %s::uuid[],
                %s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::bytea[], %s::bytea[],
                %s::text[], %s::timestamptz[], %s::text[], %s::text[])
        as t(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
)
insert into reserve_ledger.posting
    (tenant_id, transaction_id, sequence, line, account, asset, amount_minor, balance_minor,
     address, address_balance_minor)
select a, b, c, d, e, f, g, h, i, j
from unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::smallint[], %s::text[], %s::text[],
            %s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
    as p(a, b, c, d, e, f, g, h, i, j)
"""


def _close(connection: psycopg.Connection[Any], book: _Book) -> None:
    tenant = book.tenant_id
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reserve_ledger.account_balance values (%s, %s, %s, %s, %s)",
            [(tenant, *key, *pair) for key, pair in sorted(book.codes.items())],
        )
        cursor.executemany(
            "insert into reserve_ledger.account"
            " (tenant_id, address, asset, code, debit_minor, credit_minor)"
            " values (%s, %s, %s, %s, %s, %s)",
            [
                (tenant, *key, book.code_of[key[0]], *pair)
                for key, pair in sorted(book.places.items())
            ],
        )
        cursor.executemany(
            "insert into reserve_ledger.reserve_total as r values (%s, %s, %s)"
            " on conflict (account, asset) do update"
            " set balance_minor = r.balance_minor + excluded.balance_minor",
            [(*key, pair[0] - pair[1]) for key, pair in sorted(book.codes.items())],
        )
    connection.execute(
        "update reserve_ledger.ledger_head set sequence = %s, hash = %s, posted_at = %s"
        " where tenant_id = %s",
        [book.sequence, book.hash, book.posted_at, tenant],
    )


def _canonical(value: Any) -> str:
    """JSON, keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
