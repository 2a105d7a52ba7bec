"""One whole, valid example of each event, the same every time: for documents and goldens."""

import types
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from invoiceos_contracts.base import Event

_MOMENT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_UUID = UUID("0193a5b2-7c4d-7e8f-9a0b-1c2d3e4f5a6b")
_TEXT = {
    "asset": "USD",
    "rail": "tempo",
    "provider": "tempo",
    "address": "0x0000000afdfdfdfdfdfdfdfdfdfd000000000001",
    "memo": "0x" + "5a" * 32,
    "hash": "ab" * 32,
    "previous_hash": "0" * 64,
    "ledger_head": "cd" * 32,
    "template": "invoice_paid.v1",
    "account": "1200",
    "number": "INV-000001",
    "payment_link": "https://pay.example/pay/abc",
}


def sample(event: type[Event]) -> Event:
    """An example in which every field is filled."""
    built = _model(event)
    assert isinstance(built, Event)
    return built


def _model(model: type[BaseModel]) -> BaseModel:
    values = {name: _value(field.annotation, name) for name, field in model.model_fields.items()}
    return model.model_validate(values)


def _value(annotation: Any, name: str) -> Any:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _value(get_args(annotation)[0], name)
    if origin in (Union, types.UnionType):
        return _value(next(a for a in get_args(annotation) if a is not type(None)), name)
    if origin is tuple:
        return (_value(get_args(annotation)[0], name.removesuffix("s")),)
    if origin is Literal:
        return get_args(annotation)[0]
    return _plain(annotation, name)


def _plain(kind: type[Any], name: str) -> Any:
    if issubclass(kind, BaseModel):
        return _model(kind)
    if issubclass(kind, StrEnum):
        return next(iter(kind))
    known: dict[type[Any], object] = {
        UUID: _UUID,
        datetime: _MOMENT,
        bool: True,
        int: 1,
        str: _TEXT.get(name, "USD" if name.endswith("asset") or name == "expected" else name),
    }
    return known[kind]
