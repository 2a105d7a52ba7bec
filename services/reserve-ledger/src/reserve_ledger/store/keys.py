"""Keys of two ids, as the columns that `unnest` takes."""

from collections.abc import Sequence
from uuid import UUID


def columns(keys: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    """First and second parts."""
    return [first for first, _ in keys], [second for _, second in keys]
