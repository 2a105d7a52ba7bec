"""The whole ledger proved again from its rows, in one pass over them.

A second implementation on purpose: nothing of the ledger's own code is used.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

GENESIS: Final = bytes(32)
AT_ONCE: Final = 20_000
"""Rows fetched at a time."""
_LENGTH_32: Final = (32).to_bytes(8, "big")
_LATER: Final = ("reference", "effective_at", "metadata", "actor")
"""Columns of a transaction that came later; where they are null they are not in the hash."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row of a ledger that is not what it was."""

    tenant_id: str
    sequence: int
    transaction_id: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        place = "" if self.line is None else f" line {self.line}"
        return (
            f"ledger {self.tenant_id} transaction {self.sequence} ({self.transaction_id}){place}:"
            f" {self.reason}"
        )


@dataclass(slots=True)
class Verified:
    """What was looked at, and what is broken."""

    ledgers: int = 0
    transactions: int = 0
    postings: int = 0
    heads: int = 0
    """Published heads that were found in their place."""
    broken: list[Broken] = field(default_factory=list)


Heads = Mapping[str, Mapping[int, str]]
"""Published heads: hash by ledger and sequence."""


def verify(connection: psycopg.Connection[Any], heads: Heads) -> Verified:
    """Prove every ledger in one snapshot; the first fault of each is reported.

    The connection must see every tenant: that of the auditor does.
    """
    found = Verified()
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        sql = _sql(connection)
        kept = _kept_heads(connection)
        balances = _kept_balances(connection)
        with connection.cursor(name="ledger") as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(sql)
            _walk(cursor, found, heads, (kept, balances))
    return found


def _sql(connection: psycopg.Connection[Any]) -> str:
    """One ordered stream of both tables; columns that this ledger does not have yet are null."""
    rows = connection.execute(
        """
        select table_name, column_name from information_schema.columns
        where table_schema = 'reserve_ledger' and table_name in ('ledger_transaction', 'posting')
        """
    ).fetchall()
    there = {(table, column) for table, column in rows}
    effective = f"'\"' || {_time('t.effective_at')} || '\"'"
    texts = {"effective_at": effective, "metadata": "t.metadata::text"}
    later = [
        texts.get(name, f"to_json(t.{name})::text")
        if ("ledger_transaction", name) in there
        else "null"
        for name in _LATER
    ]
    address = "p.address" if ("posting", "address") in there else "null"
    return f"""
        select t.tenant_id::text, t.sequence, t.id::text, t.template || '.v' || t.template_version,
               t.cause_event_id::text, t.invoice_id::text, t.payment_id::text, t.reverses::text,
               {_time("t.posted_at")}, t.previous_hash::bytea, t.hash::bytea, {", ".join(later)},
               p.line, p.account, p.asset, p.amount_minor, p.balance_minor, {address}
        from reserve_ledger.ledger_transaction t
        left join reserve_ledger.posting p on p.tenant_id = t.tenant_id and p.sequence = t.sequence
        order by t.tenant_id, t.sequence, p.line
    """


def _time(column: str) -> str:
    return f"to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'"


def _kept_heads(connection: psycopg.Connection[Any]) -> dict[str, tuple[int, bytes]]:
    rows = connection.execute(
        "select tenant_id::text, sequence, hash::bytea from reserve_ledger.ledger_head"
    ).fetchall()
    return {tenant: (sequence, bytes(hashed)) for tenant, sequence, hashed in rows if sequence}


def _kept_balances(connection: psycopg.Connection[Any]) -> dict[str, dict[tuple[str, str], int]]:
    rows = connection.execute(
        """
        select tenant_id::text, account, asset, debit_minor - credit_minor
        from reserve_ledger.account_balance
        """
    ).fetchall()
    kept: dict[str, dict[tuple[str, str], int]] = {}
    for tenant, account, asset, minor in rows:
        if minor:
            kept.setdefault(tenant, {})[account, asset] = minor
    return kept


def _walk(
    rows: Iterator[Any],
    found: Verified,
    heads: Heads,
    kept: tuple[dict[str, tuple[int, bytes]], dict[str, dict[tuple[str, str], int]]],
) -> None:
    """Transaction after transaction; a ledger that is broken is passed over from there on."""
    ledger: _Ledger | None = None
    for group in _transactions(rows):
        tenant = group[0][0]
        if ledger is None or ledger.tenant != tenant:
            _close(ledger, found, kept)
            ledger = _Ledger(tenant, heads.get(tenant, {}))
            found.ledgers += 1
        found.transactions += 1
        found.postings += len(group)
        ledger.take(group)
    _close(ledger, found, kept)
    for tenant, (sequence, _) in sorted(kept[0].items()):
        found.broken.append(Broken(tenant, sequence, "none", None, "the ledger is gone"))
    for tenant in sorted(set(heads) & set(kept[0])):
        found.broken.append(Broken(tenant, 1, "none", None, "was published and is gone"))


def _transactions(rows: Iterator[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for row in rows:
        if group and (group[0][1] != row[1] or group[0][0] != row[0]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _close(
    ledger: "_Ledger | None",
    found: Verified,
    kept: tuple[dict[str, tuple[int, bytes]], dict[str, dict[tuple[str, str], int]]],
) -> None:
    if ledger is None:
        return
    broken = ledger.closed(kept[0].pop(ledger.tenant, None), kept[1].get(ledger.tenant, {}))
    if broken is not None:
        found.broken.append(broken)
    found.heads += ledger.heads_seen


class _Ledger:
    """One tenant's ledger on the way through its rows."""

    def __init__(self, tenant: str, heads: Mapping[int, str]) -> None:
        self.tenant = tenant
        self.heads_seen = 0
        self._heads = heads
        self._sequence, self._id, self._hash, self._at = 0, "none", GENESIS, ""
        self._balances: dict[tuple[str, str], int] = {}
        self._broken: Broken | None = None

    def take(self, group: list[Any]) -> None:
        if self._broken is not None:
            return
        first = group[0]
        sequence, name, at, hashed = first[1], first[2], first[8], first[10]
        reason, line = self._wrong(group, at)
        if reason is None and _hash(first, group) != hashed:
            reason = "altered: it is not what was hashed"
        published = self._heads.get(sequence)
        if published is not None:
            self.heads_seen += 1
            if reason is None and published != bytes(hashed).hex():
                reason = "another hash was published for it"
        if reason is not None:
            self._broken = Broken(self.tenant, sequence, name, line, reason)
        self._sequence, self._id, self._hash, self._at = sequence, name, bytes(hashed), at

    def _misplaced(self, group: list[Any], at: str) -> str | None:
        first = group[0]
        if first[1] != self._sequence + 1:
            return f"{self._sequence + 1} is missing before it"
        if first[9] != self._hash:
            return "it is not chained to the one before"
        if at < self._at:
            return "it was posted before the one before"
        return "it has no postings" if first[15] is None else None

    def _wrong(self, group: list[Any], at: str) -> tuple[str | None, int | None]:
        reason = self._misplaced(group, at)
        if reason is not None:
            return reason, None
        sums: dict[str, int] = {}
        for place, row in enumerate(group, 1):
            line, account, asset, amount, balance = row[15:20]
            sums[asset] = sums.get(asset, 0) + amount
            key = (account, asset)
            now = self._balances[key] = self._balances.get(key, 0) + amount
            if line != place:
                return "a line is missing before it", line
            if now != balance:
                return f"the balance is {now}, it says {balance}", line
        return ("its postings do not sum to zero" if any(sums.values()) else None), None

    def closed(
        self, head: tuple[int, bytes] | None, balances: Mapping[tuple[str, str], int]
    ) -> Broken | None:
        """The first fault; of the kept head and balances where there is none before."""
        if self._broken is not None:
            return self._broken
        reason = None
        if head != (self._sequence, self._hash):
            reason = "the kept head is another"
        elif {key: minor for key, minor in self._balances.items() if minor} != balances:
            reason = "the kept balances are others"
        elif self._heads and max(self._heads) > self._sequence:
            reason = f"{max(self._heads)} was published and is gone"
        if reason is None:
            return None
        return Broken(self.tenant, self._sequence, self._id, None, reason)


def _hash(first: Any, group: list[Any]) -> bytes:
    """SHA-256 over the hash before and the canonical form, each preceded by its length."""
    (tenant, sequence, name, template, cause, invoice, payment, reverses, at) = first[:9]
    reference, effective, metadata, actor = first[11:15]
    legs = ",".join(
        f'["{row[16]}","{row[17]}",{row[18]}]'
        if row[20] is None
        else f'["{row[16]}","{row[17]}",{row[18]},"{row[20]}"]'
        for row in group
    )
    body = (
        f'{{{_said("actor", actor)}"cause_event_id":"{cause}",{_said("effective_at", effective)}'
        f'"id":"{name}","invoice_id":{_id(invoice)},{_said("metadata", metadata)}'
        f'"payment_id":{_id(payment)},"posted_at":"{at}","postings":[{legs}],'
        f'{_said("reference", reference)}"reverses":{_id(reverses)},"sequence":{sequence},'
        f'"template":"{template}","tenant_id":"{tenant}"}}'
    ).encode()
    return hashlib.sha256(
        _LENGTH_32 + bytes(first[9]) + len(body).to_bytes(8, "big") + body
    ).digest()


def _said(name: str, value: str | None) -> str:
    """A field that is in the hash only where it says something; the value is JSON already."""
    return "" if value is None else f'"{name}":{value},'


def _id(value: str | None) -> str:
    return "null" if value is None else f'"{value}"'
