"""Everything the sandbox knows: documents in memory, written through to SQLite before an answer.

The process may be killed at any point: what was answered is there after the restart. Facts (what
really happened to money) are only ever added; triggers refuse anything else.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
create table if not exists document (
    kind text not null, id text not null, place integer not null, body text not null,
    primary key (kind, id)
);
create table if not exists fact (number integer primary key, body text not null);
create trigger if not exists fact_is_never_changed before update on fact
    begin select raise(abort, 'a fact is never changed'); end;
create trigger if not exists fact_is_never_removed before delete on fact
    begin select raise(abort, 'a fact is never removed'); end;
"""


class Store:
    """Documents by kind and id, in the order in which they came; and the facts."""

    def __init__(self, path: str = ":memory:") -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma locking_mode = exclusive")
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(_SCHEMA)
        self._documents: dict[str, dict[str, Document]] = {}
        self._places: dict[tuple[str, str], int] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._facts: list[Document] = []
        self._facts_saved = 0
        self._load()

    def _load(self) -> None:
        rows = self._connection.execute("select kind, id, place, body from document order by place")
        for kind, key, place, body in rows:
            self._documents.setdefault(kind, {})[key] = json.loads(body)
            self._places[kind, key] = place
        self._next_place = max(self._places.values(), default=0) + 1
        facts = self._connection.execute("select body from fact order by number")
        self._facts = [json.loads(body) for (body,) in facts]
        self._facts_saved = len(self._facts)

    def find(self, kind: str, key: str) -> Document | None:
        """A document, or nothing. Changes to it count once it is put again."""
        return self._documents.get(kind, {}).get(key)

    def get(self, kind: str, key: str) -> Document:
        """A document that must be there; raises `KeyError`."""
        return self._documents[kind][key]

    def all(self, kind: str) -> Iterator[Document]:
        """Every document of a kind, the oldest first."""
        yield from list(self._documents.get(kind, {}).values())

    def put(self, kind: str, key: str, document: Document) -> None:
        """Keep a document; it is saved by the next `flush`."""
        self._documents.setdefault(kind, {})[key] = document
        if (kind, key) not in self._places:
            self._places[kind, key] = self._next_place
            self._next_place += 1
        self._changed[kind, key] = None

    def remove(self, kind: str, key: str) -> None:
        """Forget a document."""
        if self._documents.get(kind, {}).pop(key, None) is not None:
            self._changed[kind, key] = None

    def add_fact(self, fact: Document) -> None:
        """Add to what really happened; numbered from 1."""
        self._facts.append({"number": len(self._facts) + 1, **fact})

    def facts(self) -> list[Document]:
        """What really happened, in its order."""
        return list(self._facts)

    def flush(self) -> None:
        """Save what has changed since the last time, all of it or nothing."""
        if not self._changed and self._facts_saved == len(self._facts):
            return
        kept, gone = [], []
        for kind, key in self._changed:
            document = self._documents.get(kind, {}).get(key)
            if document is None:
                gone.append((kind, key))
                self._places.pop((kind, key), None)
            else:
                kept.append((kind, key, self._places[kind, key], json.dumps(document)))
        facts = [(fact["number"], json.dumps(fact)) for fact in self._facts[self._facts_saved :]]
        self._connection.execute("begin immediate")
        try:
            self._connection.executemany(
                "insert into document (kind, id, place, body) values (?, ?, ?, ?) "
                "on conflict (kind, id) do update set body = excluded.body",
                kept,
            )
            self._connection.executemany("delete from document where kind = ? and id = ?", gone)
            self._connection.executemany("insert into fact (number, body) values (?, ?)", facts)
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")
        self._changed.clear()
        self._facts_saved = len(self._facts)

    def close(self) -> None:
        """Save and let go of the file."""
        self.flush()
        self._connection.close()
