"""What `scaffold.py` writes: the smallest service that runs, one use case deep."""

PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
description = "{title}"
requires-python = ">=3.11"
license = "Apache-2.0"
dependencies = [
    "invoiceos-chassis",
]

[project.entry-points."invoiceos.services"]
{name} = "{package}.app:service"

[build-system]
requires = ["hatchling==1.33.0"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]

[tool.hatch.build.targets.wheel.force-include]
migrations = "{package}/migrations"

[tool.uv.sources]
invoiceos-chassis = {{ workspace = true }}
"""

MIGRATION = """\
-- The schema of {name}. Only additive changes follow (docs/adding-a-service.md).

create table note (
    tenant_id uuid not null,
    id uuid not null,
    text text not null check (length(text) between 1 and 200),
    created_at timestamptz not null default now(),
    primary key (tenant_id, id)
);
call tenant_table('note', 'select, insert');
"""

SOURCES = {
    "__init__.py": '"""{title}."""\n',
    "py.typed": "",
    "__main__.py": '''\
"""Runs this service alone: `python -m {package}`."""

from {package}.app import service
from chassis.application import serve

if __name__ == "__main__":
    serve(service)
''',
    "app.py": '''\
"""Composition root of {name}."""

from {package}.api import router
from {package}.settings import {camel}Settings
from {package}.subscribers import SUBSCRIPTIONS
from chassis.runtime import Service

service = Service(
    name="{name}",
    settings={camel}Settings,
    routers=[router],
    subscriptions=SUBSCRIPTIONS,
)
''',
    "settings.py": '''\
"""What {name} reads from its environment, beside what every service reads."""

from chassis.settings import Settings, load


class {camel}Settings(Settings):
    """Settings of {name}; each is `INVOICEOS_` and its name in capitals."""


def settings() -> {camel}Settings:
    """The settings of this process."""
    found: {camel}Settings = load({camel}Settings)
    return found
''',
    "errors.py": '''\
"""Named conditions a request can be refused with; codes are for ever."""

from messaging.errors import Kind, Refusal


class NoteNotFound(Refusal):
    """There is no such note, or it is another tenant's."""

    code = "note_not_found"
    kind = Kind.NOT_FOUND
    title = "There is no such note"
''',
    "domain.py": '''\
"""The rules, pure: no I/O, no clock, no framework."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Note:
    """Something a tenant wrote down."""

    tenant_id: UUID
    id: UUID
    text: str


def noted(tenant_id: UUID, note_id: UUID, text: str) -> Note:
    """A note, without the space around it."""
    return Note(tenant_id, note_id, text.strip())
''',
    "store.py": '''\
"""SQL of {name}: one function a statement, arrays in, rows out."""

from collections.abc import Sequence

from {package}.domain import Note
from messaging import Tx


async def insert_notes(tx: Tx, notes: Sequence[Note]) -> None:
    """Insert notes."""
    await tx.execute(
        """
        insert into note (tenant_id, id, text)
        select tenant_id, id, text from unnest($1::uuid[], $2::uuid[], $3::text[])
            as new(tenant_id, id, text)
        """,
        [note.tenant_id for note in notes],
        [note.id for note in notes],
        [note.text for note in notes],
    )
''',
    "commands/__init__.py": '"""Use cases: load all, decide each, save all, stage all."""\n',
    "commands/write_notes.py": '''\
"""Write notes down."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from {package} import store
from {package}.domain import Note, noted
from messaging import Refusal, Tx


@dataclass(frozen=True, slots=True)
class NewNote:
    """A note to write."""

    tenant_id: UUID
    text: str


async def write_notes(tx: Tx, requests: Sequence[NewNote]) -> list[Note | Refusal]:
    """Write each note down; one answer a request, in its place."""
    notes = [noted(request.tenant_id, tx.new_id(), request.text) for request in requests]
    await store.insert_notes(tx, notes)
    return list(notes)
''',
    "queries.py": '''\
"""What readers get: straight from SQL to the answer."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from {package}.domain import Note
from {package}.errors import NoteNotFound
from messaging import Tx


class NoteView(BaseModel):
    """A note as callers see it."""

    id: UUID
    text: str

    @classmethod
    def of(cls, note: Note) -> Self:
        """Show a note."""
        return cls(id=note.id, text=note.text)


async def note_of(tx: Tx, tenant_id: UUID, note_id: UUID) -> NoteView:
    """One note; raises `NoteNotFound`."""
    row = await tx.fetchrow(
        "select id, text from note where tenant_id = $1 and id = $2", tenant_id, note_id
    )
    if row is None:
        raise NoteNotFound
    return NoteView(id=row["id"], text=row["text"])


async def first_noted_at(tx: Tx, tenant_id: UUID) -> datetime | None:
    """When the tenant's first note was written; None where there is none."""
    found: datetime | None = await tx.fetchval(
        "select min(created_at) from note where tenant_id = $1", tenant_id
    )
    return found
''',
    "api.py": '''\
"""HTTP in: parse, call one command or query, shape the answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from {package}.commands.write_notes import NewNote, write_notes
from {package}.queries import NoteView, note_of
from chassis.auth import Caller, needs
from chassis.http import Reading, Writing
from chassis.inputs import Input, ShortText
from chassis.strict_json import StrictRoute

router = APIRouter(route_class=StrictRoute)


class NoteInput(Input):
    """A note to write."""

    text: ShortText


@router.post("/api/v1/{name}/notes", status_code=201, response_model=NoteView)
async def post_note(
    body: NoteInput, write: Writing, caller: Annotated[Caller, Depends(needs("{package}:write"))]
) -> Response:
    """Write a note down."""
    request = NewNote(caller.tenant_id, body.text)
    return await write(write_notes, request, answer=NoteView.of, status=201)


@router.get("/api/v1/{name}/notes/{{note_id}}")
async def get_note(
    note_id: UUID, tx: Reading, caller: Annotated[Caller, Depends(needs("{package}:read"))]
) -> NoteView:
    """One note."""
    return await note_of(tx, caller.tenant_id, note_id)
''',
    "subscribers.py": '''\
"""Facts of others, and the command each leads to."""

from {package}.commands.write_notes import NewNote, write_notes
from invoiceos_contracts.identity_v1 import TenantCreated
from messaging import Batch, Tx, consumes


@consumes(TenantCreated)
async def on_tenant_created(tx: Tx, events: Batch[TenantCreated]) -> None:
    """A company joined."""
    await write_notes(tx, [NewNote(event.tenant_id, event.fact.name) for event in events])


SUBSCRIPTIONS = (on_tenant_created,)
''',
}

TEST = """\
from uuid import uuid4

from {package}.domain import noted


def test_a_note_has_no_space_around_it() -> None:
    assert noted(uuid4(), uuid4(), " a ").text == "a"
"""
