"""One whole, valid example of each event, the same every time: for documents and goldens."""

import types
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

M = TypeVar("M", bound=BaseModel)
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
    "email": "ada@example.test",
    "quantity": "1.5",
    "pointer": "/lines/0/quantity",
}
_WHOLE = {"unit_price_minor": 50_000, "ttl_s": 604_800, "watch_window_s": 604_800}


def sample(event: type[M]) -> M:
    """An example in which every field is filled that can stand beside the others."""
    return _model(event)


def _model(model: type[M]) -> M:
    unsaid: frozenset[str] = getattr(model, "UNSAID", frozenset())
    values = {
        name: _value(field.annotation, name)
        for name, field in model.model_fields.items()
        if name not in unsaid
    }
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
        AwareDatetime: _MOMENT,
        bool: name != "draft",
        int: _WHOLE.get(name, 1),
        str: _TEXT.get(name, "USD" if name.endswith("asset") or name == "expected" else name),
    }
    return known[kind]
