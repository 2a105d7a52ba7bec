"""Statements that a bank sent as a file: kept as they came, once, and a source of the reserve."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from invoiceos_contracts.provider_v1 import StatementLine
from messaging import Refusal, Tx
from messaging.failpoints import failpoint
from reserve_ledger.commands.observe_sources import save_sources
from reserve_ledger.domain.bank_files import BankStatement
from reserve_ledger.domain.sources import Source
from reserve_ledger.errors import StatementNameReused, StatementOfAnotherAccount
from reserve_ledger.store import sources as reserve
from reserve_ledger.store import statements as store
from reserve_ledger.store.statements import Filed, Statement

BANK: Final = "bank"
_SOURCES: Final = UUID("0193a5b2-0000-7000-8000-62616e6b7300")


@dataclass(frozen=True, slots=True)
class BankFile:
    """A file, read and proved."""

    source: str
    format: str
    file_hash: bytes
    statements: Sequence[BankStatement]
    actor: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A statement of a file, and whether it was there before."""

    id: UUID
    said: BankStatement
    already: bool


async def file_statements(tx: Tx, files: Sequence[BankFile]) -> list[list[Kept] | Refusal]:
    """Keep each file whole or not at all; what is there already is answered as it is.

    Files follow one another, as statements of the reserve do: two of them may list one movement.
    """
    await reserve.lock_statements(tx)
    answers: list[list[Kept] | Refusal] = []
    for file in files:
        known = {(one.asset, one.name): one for one in await store.select_filed(tx, file.source)}
        refused = next(
            (found for said in file.statements if (found := _refused(file, said, known))), None
        )
        answers.append(refused or [await _keep(tx, file, said, known) for said in file.statements])
    failpoint("statements.filed")
    await save_sources(tx, _seen(files, answers))
    return answers


def _refused(
    file: BankFile, said: BankStatement, known: Mapping[tuple[str, str], Filed]
) -> Refusal | None:
    accounts = {one.account for one in known.values()} | {one.account for one in file.statements}
    if accounts != {said.account}:
        return StatementOfAnotherAccount(account=said.account, name=said.name)
    same = [other for other in file.statements if (other.asset, other.name) == _name(said)]
    before = known.get(_name(said))
    if len(same) > 1 or (before and before.content_hash != _hash(file, said)):
        return StatementNameReused(name=said.name)
    return None


def _name(said: BankStatement) -> tuple[str, str]:
    return said.asset, said.name


def _hash(file: BankFile, said: BankStatement) -> bytes:
    """What one statement says: the same in whatever file it comes."""
    plain = [
        (e.amount_minor, e.booked_on.isoformat(), e.reference, e.related, e.memo, e.group)
        for e in said.entries
    ]
    head = (file.source, said.account, said.name, said.asset, said.opening_minor)
    return hashlib.sha256(repr((head, said.closing_minor, plain)).encode()).digest()


async def _keep(
    tx: Tx, file: BankFile, said: BankStatement, known: Mapping[tuple[str, str], Filed]
) -> Kept:
    before = known.get(_name(said))
    if before is not None:
        return Kept(before.id, said, already=True)
    statement = Statement(
        id=tx.new_id(),
        source=file.source,
        kind=BANK,
        asset=said.asset,
        name=said.name,
        format=file.format,
        content_hash=_hash(file, said),
        starts_at=said.starts_at,
        ends_at=said.ends_at,
        opening_minor=said.opening_minor,
        closing_minor=said.closing_minor,
        lines=await _lines(tx, file, said),
        imported_by=file.actor,
        account=said.account,
        file_hash=file.file_hash,
    )
    await store.insert_statement(tx, statement)
    return Kept(statement.id, said, already=False)


async def _lines(tx: Tx, file: BankFile, said: BankStatement) -> list[StatementLine]:
    """The entries under names that are unique at their source.

    What another statement listed before, to the unit and the day, is the same movement; a
    reference that comes again with something else gets the next number.
    """
    names = [
        entry.reference or f"{said.name}#{place}" for place, entry in enumerate(said.entries, 1)
    ]
    listed = await store.select_listed(tx, file.source, said.asset, names)
    last = Counter[str]()
    for line in listed:
        last[line.reference] = max(last[line.reference], line.ordinal)
    lines: list[StatementLine] = []
    for name, entry in zip(names, said.entries, strict=True):
        same = next(
            (
                line
                for line in listed
                if (line.reference, line.amount_minor, line.at)
                == (name, entry.amount_minor, entry.at)
            ),
            None,
        )
        if same is not None:
            listed.remove(same)
        else:
            last[name] += 1
        lines.append(
            StatementLine(
                reference=name,
                ordinal=same.ordinal if same else last[name],
                amount_minor=entry.amount_minor,
                at=entry.at,
                related=entry.related,
                memo=entry.memo,
                group=entry.group,
            )
        )
    return lines


def _seen(files: Sequence[BankFile], answers: Sequence[list[Kept] | Refusal]) -> list[Source]:
    """What each account held when its newest statement ended."""
    newest: dict[UUID, Source] = {}
    for file, answer in zip(files, answers, strict=True):
        for kept in () if isinstance(answer, Refusal) else answer:
            said = kept.said
            source = Source(
                source_id=uuid5(_SOURCES, f"{file.source}/{said.asset}"),
                source=file.source,
                kind=BANK,
                asset=said.asset,
                balance_minor=said.closing_minor,
                opening_minor=0,
                deposits_minor=None,
                held_elsewhere_minor=0,
                unannounced_minor=0,
                block_number=None,
                block_hash=None,
                as_of=said.ends_at,
            )
            before = newest.get(source.source_id)
            if before is None or before.as_of <= source.as_of:
                newest[source.source_id] = source
    return list(newest.values())
